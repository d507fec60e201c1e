-- What moved on the same account on the second of May, by when things happened? The late cheque is in the opening balance.
SELECT line, layer, effective_at, template, debit, credit, balance
FROM ledger.statement('OWED/BOB', '2024-05-02Z', '2024-05-03Z', 'effective', 'USD');
