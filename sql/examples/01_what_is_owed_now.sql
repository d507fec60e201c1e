-- What do we owe our users, now? OWED has no entries of its own: it is the sum of the accounts below it.
SELECT account, currency, settled, pending, available
FROM ledger.rolled_up_balances
WHERE account = 'OWED';
