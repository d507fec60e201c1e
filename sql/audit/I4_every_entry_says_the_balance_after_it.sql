-- I4: every entry says what its account and layer came to with it: debits less credits.
-- A row is an entry whose word differs from the sum of all entries up to it.
-- By hand: as the head of views.sql shows.
SELECT r.account_id, r.currency, r.version, r.layer, r.tx_id, r.summed AS expected, r.balance_after AS found
FROM (
    SELECT account_id, currency, version, layer, tx_id, balance_after, sum(moved) OVER (
        PARTITION BY account_id, currency, layer ORDER BY version, tx_id, leg ROWS UNBOUNDED PRECEDING
    ) AS summed
    FROM moved
) r
WHERE r.balance_after <> r.summed
ORDER BY r.account_id, r.currency, r.version;
-- figures: entries
SELECT count(*) FROM entry;
