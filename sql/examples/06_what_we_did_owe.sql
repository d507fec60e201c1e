-- What did we owe at the end of the 25th of November, as we know now? By effective time: what came in late counts.
SELECT currency, layer, balance
FROM ledger.balance_effective('STABLESATS_OMNIBUS', '2026-11-26Z');
