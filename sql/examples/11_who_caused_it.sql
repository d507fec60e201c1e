-- Who caused this reversal? Step by step back to the message that began it.
WITH RECURSIVE why AS (
    SELECT t.*, 0 AS step FROM ledger.transactions t WHERE t.template = 'REVERSAL'
    UNION ALL
    SELECT t.*, w.step + 1 FROM why w JOIN ledger.transactions t ON t.tx_id = w.cause_tx_id
)
SELECT step, template, relation, effective_at, source, source_offset, tx_id
FROM why
ORDER BY step;
