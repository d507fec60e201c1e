-- Which job does a provider know by this name?
--   id   the provider's name for what it did
SELECT j.job_id
FROM treasury.conversion_job j
WHERE j.provider_tx_id = %(id)s::text
ORDER BY j.job_id;
