-- What changed this account, or the leaves below it, between two times at which it was recorded: how often, by how much in all, and
-- by which transactions, the first ten?
--   account       its code
--   currency      in this currency
--   after_ms      after this time, in epoch milliseconds
--   until_ms      up to this one
SELECT t.tx_id, t.template, t.effective_at, t.meta -> 'btc_leg' ->> 'id' AS btc_leg, t.meta -> 'usd_leg' ->> 'id' AS usd_leg,
    a.normal_side * e.side * e.amount AS moved, count(*) OVER () AS changes,
    sum(a.normal_side * e.side * e.amount) OVER () AS moved_in_all
FROM ledger.leaves(%(account)s::text) l
JOIN ledger.account a USING (account_id)
JOIN ledger.batch b ON b.shard = l.shard
    AND b.recorded_at > to_timestamp(%(after_ms)s::bigint / 1000.0) AND b.recorded_at <= to_timestamp(%(until_ms)s::bigint / 1000.0)
JOIN ledger.tx t USING (batch_id)
JOIN ledger.entry e ON e.tx_id = t.tx_id AND e.account_id = l.account_id
WHERE e.currency = %(currency)s::text
ORDER BY b.recorded_at, t.batch_id, t.position
LIMIT 10;
