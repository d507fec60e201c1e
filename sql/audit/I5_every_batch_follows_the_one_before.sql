-- I5: the batches of a shard are a chain: each names the hash of the one before, and is hashed with it and all that it
-- says.
-- A row is a batch and what of it is not so: the hash that it follows, its own hash, or the accounts that it was booked
-- on.
-- By hand: as the head of views.sql shows.
WITH linked AS (
    SELECT *, lag(hash, 1, repeat('0', 64)) OVER (PARTITION BY shard ORDER BY batch_id) AS hash_before,
        sha256(unhex(prev_hash) || unhex(content_hash) || encode(concat_ws(
            chr(9), batch_id, shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source,
                recorded_at_us,
            accounts_hash
        ))) AS hashed
    FROM batch
),
told AS (
    SELECT batch_id, shard, unnest([
        {'name': 'prev_hash', 'expected': hash_before, 'found': prev_hash},
        {'name': 'hash', 'expected': hashed, 'found': hash}
    ]) AS one FROM linked
    UNION ALL
    SELECT batch_id, shard, {'name': 'accounts_hash', 'expected': NULL, 'found': accounts_hash}
    FROM batch
    WHERE accounts_hash <> repeat('0', 64) AND accounts_hash NOT IN (SELECT hash FROM account_change)
)
SELECT t.batch_id, t.shard, t.one.name AS of_column, t.one.expected AS expected, t.one.found AS found
FROM told t WHERE t.one.expected IS DISTINCT FROM t.one.found
ORDER BY t.batch_id, of_column;
-- figures: batches
SELECT count(*) FROM batch;
