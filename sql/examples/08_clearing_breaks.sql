-- What was sent to another shard and did not arrive by the fifth of May, for how long, and which side is missing?
SELECT pair, currency, amount, age, newest_template, missing
FROM ledger.clearing_breaks('2024-05-05Z');
