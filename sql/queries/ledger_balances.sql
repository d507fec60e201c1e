-- What does every account have, now? An account that others are below is the sum of its leaves.
-- Amounts in minor units, in the account's normal direction.
--   account   only this one and those below it; NULL for all
SELECT r.account, r.currency, r.settled, r.pending, r.encumbered, r.available, r.leaves
FROM ledger.rolled_up_balances r
WHERE %(account)s::TEXT IS NULL OR r.account IN (
    SELECT b.code
    FROM ledger.account a
    JOIN ledger.hierarchy h ON h.above_id = a.account_id
    JOIN ledger.account b ON b.account_id = h.account_id
    WHERE a.code = %(account)s
)
ORDER BY r.account, r.currency;
