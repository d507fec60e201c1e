-- What moved on this account in a period, from its opening to its closing balance? The period is [since, until).
--   account    a code; of an account that others are below, all its leaves
--   since      a time, '-infinity' for from the start
--   until      a time, 'infinity' for until now
--   axis       'recorded': when we heard of it, or 'effective': when it happened
--   currency   only this one; NULL for all
SELECT
    s.line, s.currency, s.layer, s.effective_at, s.recorded_at, s.leaf, s.template, s.debit, s.credit, s.balance, s.tx_id,
    s.correlation_id, s.source, s.source_offset
FROM ledger.statement(
    %(account)s, %(since)s::TIMESTAMPTZ, %(until)s::TIMESTAMPTZ, %(axis)s, %(currency)s
) s;
