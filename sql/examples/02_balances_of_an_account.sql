-- What is on one account? One range of the primary key, whatever else is in the ledger.
SELECT account, currency, settled, pending, encumbered, available
FROM ledger.balances
WHERE account = 'TRADING_ACCOUNT/simulated'
ORDER BY currency;
