-- What has a job moved in the books, what took it back, and when? Amounts in minor units.
--   job_id   its name
SELECT e.tx_id, e.template, e.effective_at, e.recorded_at, e.account, e.currency, e.debit, e.credit
FROM (
    SELECT DISTINCT c.posting_id AS tx_id
    FROM treasury.conversion_job_change c
    WHERE c.job_id = %(job_id)s::text AND c.posting_id IS NOT NULL
) j
CROSS JOIN LATERAL (
    SELECT j.tx_id UNION ALL SELECT r.tx_id FROM ledger.resolution r WHERE r.cause_tx_id = j.tx_id AND r.relation = 'reversed'
) t
JOIN ledger.entries e ON e.tx_id = t.tx_id
ORDER BY e.recorded_at, e.tx_id, e.leg;
