-- What does a customer have of each asset, in smallest units, and with how many entries? Found by the keys of three accounts.
--   customer   who
SELECT b.asset, b.available, b.locked, b.debt, b.version
FROM settlement.balances_of(%(customer)s::text) b;
