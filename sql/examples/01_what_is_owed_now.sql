-- What do we owe our users, and how much of it is hedged, now? POSITION has no entries of its own: it is the sum of all venues.
SELECT account, currency, settled, pending, available
FROM ledger.rolled_up_balances
WHERE account IN ('STABLESATS_OMNIBUS', 'POSITION')
ORDER BY account DESC;
