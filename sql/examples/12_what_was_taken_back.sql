-- Which transactions were reversed, by what, and why?
SELECT t.template, t.effective_at, t.tx_id, r.tx_id AS reversed_by, r.effective_at AS taken_back_at, r.meta ->> 'reason' AS reason
FROM ledger.transactions t
JOIN ledger.transactions r ON r.tx_id = t.reversed_by
ORDER BY t.tx_id;
