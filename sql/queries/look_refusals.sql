-- Why was this leg refused, and where was it read?
--   id   the id of the leg
SELECT r.reason, r.detail, r.source, r.source_offset, r.as_of
FROM treasury.leg_refusal r
WHERE r.leg_id = %(id)s
ORDER BY r.as_of, r.source, r.source_offset;
