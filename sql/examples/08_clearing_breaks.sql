-- What was sent to another shard and did not arrive by the 27th of November, for how long, and which side is missing?
SELECT pair, currency, amount, age, newest_template, missing
FROM ledger.clearing_breaks('2026-11-27Z');
