-- What does this account have, now: all its currencies and layers, and what is available? One range of the primary key.
-- Amounts in minor units, in the account's normal direction.
--   account   a leaf's code, such as 'STABLESATS_OMNIBUS'
SELECT b.account, b.currency, b.version, b.settled, b.pending, b.encumbered, b.available, b.min_available, b.max_balance
FROM ledger.balances b
WHERE b.account = %(account)s
ORDER BY b.currency;
