-- What moved on a user's account in the first days of May, as we booked it? The cheque of the first of May came late, so
-- it stands where it was recorded.
SELECT line, layer, effective_at, recorded_at, template, debit, credit, balance
FROM ledger.statement('OWED/BOB', '2024-05-01Z', '2024-05-04Z');
