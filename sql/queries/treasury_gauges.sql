-- What do the steps of the flows say of themselves, when did they say it, and what time is it now? Times in epoch milliseconds.
-- A shard that fell silent a minute before the others of its step is one of an earlier start, and left out.
SELECT
    g.step, g.shard, g.name, g.value,
    (extract(EPOCH FROM g.as_of) * 1000)::BIGINT AS as_of_ms,
    (extract(EPOCH FROM clock_timestamp()) * 1000)::BIGINT AS now_ms
FROM (
    SELECT *,
        max(as_of) OVER (PARTITION BY step) AS step_as_of,
        max(as_of) OVER (PARTITION BY step, shard) AS shard_as_of
    FROM treasury.gauge
) g
WHERE g.shard_as_of >= g.step_as_of - INTERVAL '1 minute'
ORDER BY g.step, g.shard, g.name;
