-- Who converts money, on which terms, and how do they do? The worst first.
--   provider   only this one; NULL: all
SELECT v.* FROM treasury.v_provider_health v
WHERE %(provider)s::text IS NULL OR v.provider = %(provider)s::text;
