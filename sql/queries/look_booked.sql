-- What was booked of an order or a transfer: fills, fees, profit and loss, moves?
--   id   our own id of it
SELECT t.tx_id, t.template, t.effective_at, t.meta
FROM ledger.tx t
WHERE coalesce(t.meta ->> 'client_order_id', t.meta ->> 'client_id') = %(id)s::text
ORDER BY t.batch_id, t.position;
