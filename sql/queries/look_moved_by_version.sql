-- What changed this account between two versions of it: how often, by how much in all, and by which transactions, the first ten?
--   account          its code
--   currency         in this currency
--   after_version    after this one
--   until_version    up to this one
SELECT t.tx_id, t.template, t.effective_at, t.meta -> 'btc_leg' ->> 'id' AS btc_leg, t.meta -> 'usd_leg' ->> 'id' AS usd_leg,
    a.normal_side * e.side * e.amount AS moved, count(*) OVER () AS changes,
    sum(a.normal_side * e.side * e.amount) OVER () AS moved_in_all
FROM ledger.account a
JOIN ledger.entry e USING (account_id)
JOIN ledger.tx t USING (tx_id)
WHERE a.code = %(account)s::text AND e.currency = %(currency)s::text
    AND e.version > %(after_version)s::bigint AND e.version <= %(until_version)s::bigint
ORDER BY e.version
LIMIT 10;
