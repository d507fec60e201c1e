-- What is this transaction: its entries, with the balance after each?
--   tx_id   its id
SELECT
    e.leg, e.account, e.currency, e.layer, e.debit, e.credit, e.normal_balance_after, e.version, e.template, e.effective_at,
    e.recorded_at, e.source, e.source_offset, e.correlation_id, e.relation, e.cause_tx_id, b.shard
FROM ledger.entries e
JOIN ledger.batch b USING (batch_id)
WHERE e.tx_id = %(tx_id)s::UUID
ORDER BY e.leg;
