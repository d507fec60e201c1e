-- What did we think, at the end of the 25th of November, that we owed? By recorded time: it is what a report said that day.
SELECT currency, layer, balance
FROM ledger.balance_recorded('STABLESATS_OMNIBUS', '2026-11-26Z');
