-- I5: a day of a closed period has the transactions with the bodies that it had when it was sealed, and the chain its
-- ends.
-- A row is a day, or a shard with the end of its chain, as it was sealed and as it is.
-- By hand: as the head of views.sql shows.
WITH seal AS (
    SELECT closed_until_us, manifest,
        coalesce(epoch_us(CAST(manifest ->> '$.since' AS TIMESTAMPTZ)), -9000000000000000000) AS since_us
    FROM closed_period WHERE manifest <> '{}'
),
day AS (
    SELECT s.closed_until_us, strftime(make_timestamp(t.effective_at_us), '%Y-%m-%d') AS day, count(*) AS transactions,
        sha256(string_agg(t.tx_id || ' ' || t.body_hash || chr(10), '' ORDER BY CAST(t.tx_id AS VARCHAR))) AS sha256
    FROM seal s JOIN tx t ON t.effective_at_us >= s.since_us AND t.effective_at_us < s.closed_until_us
    GROUP BY ALL
),
said AS (
    SELECT closed_until_us, one ->> '$.day' AS day, CAST(one ->> '$.transactions' AS BIGINT) AS transactions,
        one ->> '$.sha256' AS sha256
    FROM (SELECT closed_until_us, unnest(CAST(manifest -> '$.days' AS JSON[])) AS one FROM seal)
),
ends AS (
    SELECT closed_until_us, shard, manifest -> ('$.batches.' || '"' || shard || '"') AS mark
    FROM (SELECT closed_until_us, manifest, unnest(json_keys(manifest, '$.batches')) AS shard FROM seal)
)
SELECT closed_until_us, day AS name, s.transactions || ' transactions ' || s.sha256 AS expected,
    d.transactions || ' transactions ' || d.sha256 AS found
FROM said s FULL JOIN day d USING (closed_until_us, day)
WHERE (s.transactions, s.sha256) IS DISTINCT FROM (d.transactions, d.sha256)
UNION ALL
SELECT e.closed_until_us, 'shard ' || e.shard, e.mark ->> '$.hash', b.hash
FROM ends e LEFT JOIN batch b ON b.batch_id = CAST(e.mark ->> '$.batch_id' AS BIGINT)
WHERE b.hash IS DISTINCT FROM e.mark ->> '$.hash'
ORDER BY 1, 2;
-- figures: sealed periods
SELECT count(*) FROM closed_period WHERE manifest <> '{}';
