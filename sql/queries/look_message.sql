-- What was booked, or rejected, because of this message?
--   topic       where it was read
--   partition   where in it
--   offset      which one
WITH batches AS (
    -- A batch says from where to where it was read, so few of them are looked into.
    SELECT b.batch_id
    FROM ledger.batch b
    CROSS JOIN LATERAL (SELECT b.source -> (%(topic)s::text || '/' || %(partition)s::integer) AS span) s
    WHERE %(offset)s::bigint BETWEEN (s.span ->> 0)::bigint AND (s.span ->> 1)::bigint
)
SELECT t.tx_id, 'posted' AS outcome, t.batch_id, t.position
FROM batches b
JOIN ledger.tx t USING (batch_id)
WHERE t.source = %(topic)s::text || '/' || %(partition)s::integer AND t.source_offset = %(offset)s::bigint
UNION ALL
SELECT r.tx_id, 'rejected', r.batch_id, r.position
FROM batches b
JOIN ledger.reject r USING (batch_id)
WHERE r.source = %(topic)s::text || '/' || %(partition)s::integer AND r.source_offset = %(offset)s::bigint
ORDER BY 3, 4;
