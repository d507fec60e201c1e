-- Which jobs have been with their provider for too long, or are done there and not booked? Few are open, so this takes no time.
--   stale_seconds   for so long, or past the time that the provider has named
SELECT v.job_id, v.state, v.provider, v.submitted_at, v.eta_at,
    floor(extract(EPOCH FROM now() - v.submitted_at))::BIGINT AS seconds_with_provider
FROM treasury.v_conversion_jobs v
WHERE (v.told_state NOT IN ('completed', 'failed', 'cancelled') OR v.told_state = 'completed' AND v.as_of > now() - INTERVAL '1 day')
    AND v.told_state <> 'pending' AND NOT v.is_booked
    AND (v.submitted_at < now() - make_interval(secs => %(stale_seconds)s::BIGINT) OR v.eta_at < now())
ORDER BY v.submitted_at, v.job_id;
