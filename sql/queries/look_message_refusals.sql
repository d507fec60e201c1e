-- Which leg did this message tell of that was refused, and why?
--   topic       where it was read
--   partition   where in it
--   offset      which one
SELECT r.leg_id, r.reason, r.detail
FROM treasury.leg_refusal r
WHERE r.source = %(topic)s::text || '/' || %(partition)s::integer AND r.source_offset = %(offset)s::bigint
ORDER BY r.leg_id, r.reason;
