-- How many conversion jobs are in which state? Counted while they were written.
SELECT t.label AS state, t.n
FROM treasury.tally t
WHERE t.subject = 'job' AND t.n > 0
ORDER BY t.label;
