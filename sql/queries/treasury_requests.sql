-- How many requests to the outside are in which state?
SELECT split_part(t.label, '/', 1) AS kind, split_part(t.label, '/', 2) AS state, t.n
FROM treasury.tally t
WHERE t.subject = 'request' AND t.n > 0
ORDER BY kind, state;
