-- I4: the entries of an account and currency are numbered 1, 2, 3 and so on, in the order of batches.
-- A row is an entry whose version does not follow that of the entry before it.
-- By hand: as the head of views.sql shows.
SELECT v.account_id, v.currency, v.version AS found, v.before + 1 AS expected, v.tx_id
FROM (
    SELECT account_id, currency, version, tx_id, batch_id, lag(version, 1, 0) OVER one AS before,
        lag(batch_id, 1, 0) OVER one AS batch_before
    FROM entry
    WINDOW one AS (PARTITION BY account_id, currency ORDER BY version, batch_id)
) v
WHERE v.version <> v.before + 1 OR v.batch_id < v.batch_before
ORDER BY v.account_id, v.currency, v.version;
-- figures: entries
SELECT count(*) FROM entry;
