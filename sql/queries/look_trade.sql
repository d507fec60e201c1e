-- What is this transaction, what took it back, and what did it take back?
--   tx_id   its id
SELECT
    t.tx_id, t.template, t.effective_at, t.recorded_at, t.source, t.source_offset, t.relation, t.cause_tx_id, t.reversed_by,
    (SELECT r.meta ->> 'reason' FROM ledger.tx r WHERE r.tx_id = t.reversed_by) AS reversed_because, t.meta
FROM ledger.transactions t
WHERE t.tx_id = %(tx_id)s::UUID;
