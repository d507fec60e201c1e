-- T2: a job is named by what it is for: its cause, the buffer, the end of its window, and its number among those; one job has
-- one key, and the numbers have no gap.
-- A row is a job with the key that it should have.
-- By hand: as the head of views.sql shows.
WITH keyed AS (
    SELECT job_id, CASE said ->> '$.cause'
        WHEN 'manual' THEN 'manual'
        WHEN 'scheduled_rebalance' THEN 'rebalance'
        ELSE 'replenish'
    END AS cause, destination, CAST(said ->> '$.window_end' AS BIGINT) AS end_ms
    FROM job
),
stem AS (
    SELECT *, concat_ws(':', cause, destination, strftime(make_timestamp(end_ms * 1000), '%Y-%m-%dT%H:%M:%SZ')) AS stem
    FROM keyed
),
numbered AS (
    SELECT *, row_number() OVER (
        PARTITION BY stem ORDER BY TRY_CAST(coalesce(nullif(ltrim(substr(job_id, length(stem) + 1), ':'), ''), '0') AS BIGINT)
    ) - 1 AS n
    FROM stem
)
SELECT job_id, CASE WHEN cause = 'manual' THEN 'manual:ID' WHEN n = 0 THEN stem ELSE stem || ':' || n END AS expected
FROM numbered
WHERE CASE WHEN cause = 'manual' THEN NOT starts_with(job_id, 'manual:') ELSE
    job_id IS DISTINCT FROM CASE WHEN n = 0 THEN stem ELSE stem || ':' || n END END
UNION ALL
SELECT job_id, 'one job' FROM job GROUP BY job_id HAVING count(*) > 1
ORDER BY 1;
-- figures: jobs
SELECT count(*) FROM job;
