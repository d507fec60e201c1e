-- Which troubles were told of last, in which words? Times in epoch milliseconds; only the last words of all are looked through.
--   row_limit   at most so many troubles
SELECT (extract(EPOCH FROM t.as_of) * 1000)::BIGINT AS as_of, t.severity, t.subject, t.text
FROM (
    SELECT DISTINCT ON (a.id) a.id, a.as_of, a.severity, a.subject, a.text
    FROM (SELECT * FROM treasury.alert ORDER BY as_of DESC LIMIT 64) a
    ORDER BY a.id, a.as_of DESC, a.digest
) t
ORDER BY t.as_of DESC, t.id
LIMIT %(row_limit)s;
