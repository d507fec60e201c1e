-- What moved in the exchange's funding account within five seconds, as we booked it?
SELECT line, effective_at, recorded_at, template, debit, credit, balance
FROM ledger.statement('FUNDING_ACCOUNT/simulated', '2026-11-25T13:34:25Z', '2026-11-25T13:34:30Z');
