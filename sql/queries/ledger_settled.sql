-- What is settled on an account in a currency, now? In minor units, in the normal direction of the account.
--   account    the code of a leaf
--   currency   one that the account has
SELECT b.settled
FROM ledger.balances b
WHERE b.account = %(account)s AND b.currency = %(currency)s;
