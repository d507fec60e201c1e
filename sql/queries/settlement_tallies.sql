-- How many trades are settled by symbol, and how many words were refused by kind, symbol and reason? Counted while they were written.
SELECT t.subject,
    CASE t.subject WHEN 'refusal' THEN split_part(t.label, '/', 1) ELSE 'trade' END AS kind,
    CASE t.subject WHEN 'refusal' THEN split_part(t.label, '/', 2) ELSE t.label END AS symbol,
    CASE t.subject WHEN 'refusal' THEN split_part(t.label, '/', 3) END AS reason,
    t.n
FROM treasury.tally t
WHERE t.subject IN ('trade', 'refusal')
ORDER BY t.subject, t.label;
