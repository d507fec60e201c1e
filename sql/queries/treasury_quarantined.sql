-- What is kept of messages that could not be used, the oldest first, with their bytes?
--   topic         of this one
--   partition     only of this one; NULL: of all
--   offset        only this one; NULL: all of them
SELECT q.topic, q.partition, q."offset", q.reason, q.detail, q.key, q.raw, q.recorded_at
FROM treasury.quarantine q
WHERE q.topic = %(topic)s::text
    AND (%(partition)s::integer IS NULL OR q.partition = %(partition)s::integer)
    AND (%(offset)s::bigint IS NULL OR q."offset" = %(offset)s::bigint)
ORDER BY q.recorded_at, q.partition, q."offset";
