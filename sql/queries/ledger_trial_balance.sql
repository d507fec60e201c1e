-- What stands on which side, now? Each leaf that is not at zero; the columns of a currency and layer are equal.
SELECT
    b.account, b.currency, b.layer, greatest(b.debit - b.credit, 0) AS debit, greatest(b.credit - b.debit, 0) AS credit
FROM ledger.balances_by_layer b
WHERE b.debit <> b.credit
ORDER BY b.account, b.currency, CASE b.layer WHEN 'settled' THEN 1 WHEN 'pending' THEN 2 ELSE 3 END;
