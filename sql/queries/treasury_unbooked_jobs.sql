-- Which jobs are said to be done, at their provider or altogether, and are not in the books? With seconds since their last step.
SELECT v.job_id, v.told_state AS state, v.provider, floor(extract(EPOCH FROM now() - v.as_of))::bigint AS age_seconds
FROM treasury.v_conversion_jobs v
WHERE NOT v.is_booked AND v.told_state IN ('provider_completed', 'ledger_updating', 'completed')
ORDER BY v.created_at, v.job_id;
