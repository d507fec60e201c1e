-- How much have people taken back and booked again, and what did a flow find taken back already, by what it was? Seldom, so few rows.
SELECT t.source, coalesce(o.template, t.template) AS template, count(*) AS n
FROM ledger.tx t
LEFT JOIN ledger.tx o ON o.tx_id = t.cause_tx_id AND t.source = 'console/reversals'
WHERE t.source IN ('console/reversals', 'console/rebookings')
GROUP BY 1, 2
UNION ALL
SELECT 'already_reversed', r.template, count(*)
FROM ledger.reject r
WHERE r.reason = 'already_reversed'
GROUP BY r.template
ORDER BY 1, 2;
