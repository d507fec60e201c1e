-- Of what was a person told within the last hour, and how often?
SELECT a.subject, count(*) AS n
FROM treasury.alert a
WHERE a.as_of > now() - INTERVAL '1 hour'
GROUP BY a.subject
ORDER BY a.subject;
