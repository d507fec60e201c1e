-- T6: every request to a provider is an attempt of a job, as it was ordered, and the job was decided on, or told by a person
-- whose control is on record.
-- A row is a request and what of this is not there. Not judged is what a person told before the messages begin.
-- By hand: as the head of views.sql shows.
WITH asked AS (
    SELECT client_id, job_id, decision_id, provider, source, destination, amount, attempt FROM conversion
),
judged AS (
    SELECT a.client_id, a.job_id, a.decision_id, CASE
        WHEN j.job_id IS NULL THEN 'its job is not there'
        WHEN NOT EXISTS (
            SELECT 1 FROM job_step s WHERE (s.job_id, s.attempt, s.client_id, s.provider)
                = (a.job_id, a.attempt, a.client_id, a.provider)
        ) THEN 'its job has no such attempt'
        WHEN (a.decision_id, a.source, a.destination, a.amount)
            IS DISTINCT FROM (j.decision_id, j.source, j.destination, j.amount) THEN 'its job orders something else'
        WHEN j.said ->> '$.cause' <> 'manual' AND NOT EXISTS (
            SELECT 1 FROM decision d WHERE d.id = j.decision_id AND d.kind = 'buffer' AND d.book = 'live'
        ) THEN 'nobody decided its job'
        WHEN j.said ->> '$.cause' = 'manual' AND NOT EXISTS (
            SELECT 1 FROM told t
            WHERE t.topic = 'ops.controls' AND t.said ->> '$.command' = 'convert' AND 'manual:' || (t.said ->> '$.id') = j.job_id
                AND t.said ->> '$.source' = j.source AND t.said ->> '$.destination' = j.destination
                AND CAST(t.said ->> '$.amount' AS DECIMAL(38, 0)) = j.amount AND t.said ->> '$.by' = j.said ->> '$.asked_by'
        ) AND (SELECT min(at_ms) FROM begun) <= CAST(j.said ->> '$.ordered_at' AS BIGINT)
            THEN 'nobody told its job'
    END AS wrong
    FROM asked a LEFT JOIN job j ON j.job_id = a.job_id
)
SELECT client_id, job_id, decision_id, wrong FROM judged WHERE wrong IS NOT NULL
UNION ALL
SELECT r.client_id, r.body ->> '$.job_id', r.decision_id, 'it lets go of nothing that was asked' FROM request r
WHERE r.kind = 'cancel' AND r.body ->> '$.client_conversion_id' NOT IN (SELECT client_id FROM conversion)
    AND r.body ->> '$.job_id' NOT IN (SELECT job_id FROM job)
ORDER BY 1;
-- figures: requests to providers
SELECT count(*) FROM request WHERE kind IN ('conversion', 'cancel');
