-- What stood on which side at a time, going by what happened then or before? Each leaf that was not at zero.
--   as_of   a time
SELECT t.account, t.currency, t.layer, t.debit, t.credit
FROM ledger.trial_balance_effective(%(as_of)s::TIMESTAMPTZ) t;
