-- T4: a job that says it is completed has its posting, and every posting has its job, which says so a minute later at most.
-- A row is a job with what is missing. Of a job that was done twice one posting is its own.
-- By hand: as the head of views.sql shows.
SELECT j.job_id, 'its posting is not there' AS wrong, j.client_id, j.provider_tx_id FROM job j
WHERE j.state = 'completed' AND NOT EXISTS (
    SELECT 1 FROM converted c
    WHERE (c.job_id, c.client_id, c.provider_tx_id) = (j.job_id, j.client_id, j.provider_tx_id)
)
UNION ALL
SELECT c.job_id, CASE WHEN j.job_id IS NULL THEN 'it is not there' ELSE 'it says ' || j.state END, c.client_id,
    c.provider_tx_id
FROM converted c JOIN batch b USING (batch_id) LEFT JOIN job j ON j.job_id = c.job_id
WHERE j.state IS DISTINCT FROM 'completed' AND b.recorded_at_us < (SELECT at_us - 60000000 FROM moment)
ORDER BY 1, 2;
-- figures: jobs and postings
SELECT (SELECT count(*) FROM job WHERE state = 'completed') + (SELECT count(*) FROM converted);
