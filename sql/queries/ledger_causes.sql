-- Why is this transaction there? It, what it is about, what that is about, and so on, each with the message behind it.
--   tx_id   its id
WITH RECURSIVE why AS (
    SELECT t.*, 0 AS step FROM ledger.tx t WHERE t.tx_id = %(tx_id)s::UUID
    UNION ALL
    SELECT c.*, w.step + 1 FROM why w JOIN ledger.tx c ON c.tx_id = w.cause_tx_id
)
SELECT w.step, w.tx_id, w.template, w.relation, w.effective_at, b.recorded_at, w.source, w.source_offset, w.correlation_id
FROM why w
JOIN ledger.batch b USING (batch_id)
ORDER BY w.step;
