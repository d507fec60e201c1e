-- What does one user have? One range of the primary key, whatever else is in the ledger.
SELECT account, currency, settled, pending, encumbered, available
FROM ledger.balances
WHERE account = 'OWED/BOB'
ORDER BY currency;
