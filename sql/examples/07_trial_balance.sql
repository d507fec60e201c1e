-- Do the books tie? A transaction balances per currency and layer, so each kind does, over all journals together.
SELECT currency, layer, sum(debits) AS debits, sum(credits) AS credits, bool_and(is_balanced) AS is_balanced
FROM ledger.trial_balance
GROUP BY currency, layer
HAVING sum(debits) <> 0
ORDER BY currency, layer DESC;
