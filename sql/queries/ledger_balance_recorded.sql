-- What did we think, at that time, that this account had? Counts what was recorded then or before, and never changes again.
--   account   a code; of an account that others are below, the sum of its leaves
--   as_of     a time
SELECT r.currency, r.layer, r.balance
FROM ledger.balance_recorded(%(account)s, %(as_of)s::TIMESTAMPTZ) r;
