-- What did we think, at the end of the second of May, that we owed? By recorded time: it is what a report said that day.
SELECT currency, layer, balance
FROM ledger.balance_recorded('OWED', '2024-05-03Z');
