-- Which steps has a job gone, in their order?
--   job_id   its name
SELECT c.sequence, c.as_of, c.state, (c.body ->> 'attempt')::INT AS attempt, c.body ->> 'provider' AS provider,
    c.body ->> 'client_conversion_id' AS client_id, c.body ->> 'provider_tx_id' AS provider_tx_id, c.decision_id,
    c.body ->> 'error' AS error, c.body ->> 'reason' AS reason
FROM (SELECT *, body ->> 'decision_id' AS decision_id FROM treasury.conversion_job_change) c
WHERE c.job_id = %(job_id)s::text
ORDER BY c.sequence;
