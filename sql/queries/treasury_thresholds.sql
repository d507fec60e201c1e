-- What are buffers kept between, by whose word, and why? Amounts in minor units.
--   buffer   only this one; NULL: all
SELECT t.buffer, t.currency, t.min, t.target, t.max, t.batch, t.model, t.parameters, t.by_whom, t.reason, t.as_of, t.origin
FROM treasury.buffer_thresholds t
WHERE %(buffer)s::text IS NULL OR t.buffer = %(buffer)s::text
ORDER BY t.buffer;
