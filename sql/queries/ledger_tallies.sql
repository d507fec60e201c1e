-- How many transactions were posted, rejected or in conflict, of each template? Counted while they were written.
SELECT t.template, t.outcome, sum(t.n)::BIGINT AS n
FROM ledger.tally t
GROUP BY t.template, t.outcome
ORDER BY t.template, t.outcome;
