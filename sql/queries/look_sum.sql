-- Is this account the sum of others below it, so that it has no entries and no versions of its own?
--   account   its code
SELECT a.is_summary
FROM ledger.account a
WHERE a.code = %(account)s::text;
