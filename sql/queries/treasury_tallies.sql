-- How many decisions are there by kind, holds by kind and rule, messages in quarantine by topic? Counted while they were written.
SELECT t.subject, t.label, t.n
FROM treasury.tally t
ORDER BY t.subject, t.label;
