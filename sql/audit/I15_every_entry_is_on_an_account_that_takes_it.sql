-- I15: cents and satoshis are never added: an account that is bound to a currency has no other, and a sum has no
-- entries.
-- A row is an account and currency with how many entries are there that should not be; nothing for an account that is
-- not there.
-- By hand: as the head of views.sql shows.
SELECT e.account_id, e.currency, a.code AS account, a.currency AS bound_to, a.shard, a.is_summary, count(*) AS found,
    min(e.tx_id) AS first_tx_id
FROM entry e LEFT JOIN account a USING (account_id) LEFT JOIN batch b ON b.batch_id = e.batch_id
WHERE a.account_id IS NULL OR e.currency <> a.currency OR a.is_summary OR a.shard <> b.shard
GROUP BY ALL
ORDER BY e.account_id, e.currency;
-- figures: entries
SELECT count(*) FROM entry;
