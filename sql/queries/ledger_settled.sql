-- What is settled on an account in a currency, now? In minor units, in the normal direction of the account.
--   account    the code of a leaf, or of an account with leaves right below it, whose sum it is then
--   currency   one that the account has
SELECT coalesce(sum(b.settled), 0) AS settled
FROM ledger.balances b
WHERE b.currency = %(currency)s AND b.account IN (
    SELECT a.code
    FROM ledger.account p
    JOIN ledger.account a ON a.account_id = p.account_id OR a.parent_id = p.account_id
    WHERE p.code = %(account)s
);
