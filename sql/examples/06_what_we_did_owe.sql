-- What did we owe at the end of the second of May, as we know now? By effective time: what came in late counts.
SELECT currency, layer, balance
FROM ledger.balance_effective('OWED', '2024-05-03Z');
