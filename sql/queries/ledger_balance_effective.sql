-- What did this account have at that time, as we know today? Counts what happened then or before, however late we heard of it.
--   account   a code; of an account that others are below, the sum of its leaves
--   as_of     a time
SELECT e.currency, e.layer, e.balance
FROM ledger.balance_effective(%(account)s, %(as_of)s::TIMESTAMPTZ) e;
