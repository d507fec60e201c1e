-- What did each transaction move on this account, in the normal direction of the account? Only what is settled.
--   account    a code; of an account that others are below, all its leaves
--   currency   of which
--   since      effective from this time on
--   until      and before this one; what corrects a break, or takes something back, counts at whatever time later
SELECT
    t.tx_id::TEXT AS tx_id,
    floor(extract(EPOCH FROM t.effective_at) * 1000)::BIGINT AS effective_at_ms,
    s.normal_side * sum(e.side * e.amount) AS amount,
    min(a.code) AS leaf,
    t.correlation_id::TEXT AS correlation_id,
    CASE t.relation WHEN 'reverses' THEN t.cause_tx_id::TEXT END AS reverses,
    t.meta::TEXT AS meta
FROM ledger.account s
CROSS JOIN LATERAL ledger.leaves(s.code) l
JOIN ledger.account a ON a.account_id = l.account_id
JOIN ledger.entry e ON e.account_id = l.account_id AND e.currency = %(currency)s AND e.layer = 1
JOIN ledger.tx t ON t.tx_id = e.tx_id
WHERE s.code = %(account)s AND t.effective_at >= %(since)s::TIMESTAMPTZ
    AND (t.effective_at < %(until)s::TIMESTAMPTZ OR t.source = 'console/corrections' OR t.relation = 'reverses')
GROUP BY t.tx_id, s.normal_side
HAVING sum(e.side * e.amount) <> 0
ORDER BY t.effective_at, t.tx_id;
