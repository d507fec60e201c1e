-- How many postings of the settlement did the books refuse, or have under the same id with another body? Counted while they were written.
SELECT t.template, t.outcome, t.n
FROM ledger.tally t
WHERE t.shard = 8 AND t.outcome <> 'posted'
ORDER BY t.template, t.outcome;
