-- Which messages could not be used, the newest first, and why?
--   topic       only of this one; NULL: of all
--   row_limit   so many at most
SELECT q.recorded_at, q.topic, q.partition, q."offset", q.reason, q.detail
FROM treasury.quarantine q
WHERE %(topic)s::text IS NULL OR q.topic = %(topic)s::text
ORDER BY q.recorded_at DESC, q.topic, q.partition, q."offset"
LIMIT %(row_limit)s::bigint;
