-- Why were transactions refused, how often, and how much was short?
SELECT reason, template, account, currency, count(*) AS transactions, sum(shortfall) AS shortfall
FROM ledger.rejected
GROUP BY reason, template, account, currency
ORDER BY transactions DESC, reason;
