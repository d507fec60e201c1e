-- What do customers have and owe of each asset, what was earned, what is held for them, and does it come to zero? In smallest units.
SELECT z.asset, z.customers, z.debts, z.revenue, z.custody, z.corrections, z.residual
FROM settlement.v_zero_sum z
ORDER BY z.asset;
