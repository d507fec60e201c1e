-- What moved on the same account in the same seconds, by when things happened? What was booked after them is here too.
SELECT line, effective_at, template, debit, credit, balance
FROM ledger.statement('FUNDING_ACCOUNT/simulated', '2026-11-25T13:34:25Z', '2026-11-25T13:34:30Z', 'effective', 'BTC');
