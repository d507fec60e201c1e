-- Which matters went into clearing and did not come out, since when, and which side is missing?
--   as_of   now, or the time to count ages to
SELECT b.pair, b.correlation_id, b.currency, b.layer, b.amount, b.age, b.first_effective_at, b.newest_template, b.missing
FROM ledger.clearing_breaks(%(as_of)s::TIMESTAMPTZ) b;
