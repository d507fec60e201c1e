-- How many conversions of each provider have ended of late, how, and how long did they take on average?
--   period_seconds   of late: within so long before now
SELECT v.provider,
    count(*) FILTER (WHERE v.state = 'completed') AS completed,
    count(*) FILTER (WHERE v.state = 'failed') AS failed,
    sum(v.conversion_seconds) FILTER (WHERE v.state = 'completed') AS total_seconds
FROM treasury.v_conversion_jobs v
WHERE v.as_of > now() - make_interval(secs => %(period_seconds)s::BIGINT) AND v.state IN ('completed', 'failed')
GROUP BY v.provider
ORDER BY v.provider;
