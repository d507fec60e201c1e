-- Which jobs were ordered by this decision?
--   id   the id of the decision
SELECT j.job_id
FROM treasury.conversion_job j
WHERE j.decision_id = %(id)s::text
ORDER BY j.created_at, j.job_id;
