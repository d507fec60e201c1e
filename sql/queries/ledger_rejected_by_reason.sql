-- Why were transactions refused, and how often? With what was short in all, in minor units.
--   since   from this time of recording on
SELECT r.reason, r.template, r.account, r.currency, count(*) AS transactions, sum(r.shortfall) AS shortfall
FROM ledger.rejected r
WHERE r.recorded_at >= %(since)s::TIMESTAMPTZ
GROUP BY r.reason, r.template, r.account, r.currency
ORDER BY transactions DESC, r.reason, r.template, r.account, r.currency;
