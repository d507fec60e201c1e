-- Which states has a request been in, in which order?
--   id   our own id of it
SELECT c.changed_at, c.state, c.filled, c.sequence, c.reason
FROM treasury.request_change c
WHERE c.client_id = %(id)s::text
ORDER BY c.id;
