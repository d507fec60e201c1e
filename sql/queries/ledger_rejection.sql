-- What is kept of a rejected transaction, why was it rejected, and has it been booked again?
--   tx_id   its id
SELECT
    r.payload, r.reason, b.shard,
    (SELECT max(p.closed_until) FROM ledger.closed_period p) AS closed_until
FROM ledger.reject r
JOIN ledger.batch b USING (batch_id)
WHERE r.tx_id = %(tx_id)s::UUID;
