-- What became of every conversion job, in the order in which they were ordered? The fee is in minor units of its currency.
SELECT v.job_id, v.state, v.source, v.destination, v.destination_currency AS currency, v.attempt, coalesce(v.fee, 0) AS fee, v.provider
FROM treasury.v_conversion_jobs v
ORDER BY v.created_at, v.job_id;
