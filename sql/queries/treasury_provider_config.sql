-- What was said of a provider last, as it was told?
--   provider   its name
SELECT p.body FROM treasury.provider p
WHERE p.provider = %(provider)s::text
ORDER BY p.as_of DESC, p.id DESC
LIMIT 1;
