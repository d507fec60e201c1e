-- What should a person look at? Each trouble once, with its last word, since when it is told and how often; the newest first.
--   since   words that were said from this time on
SELECT t.as_of, t.since, t.times, t.severity, t.subject, t.text
FROM (
    SELECT DISTINCT ON (a.id) a.id, a.as_of, a.severity, a.subject, a.text,
        min(a.as_of) OVER trouble AS since, count(*) OVER trouble AS times
    FROM treasury.alert a
    WHERE a.as_of >= %(since)s::timestamptz
    WINDOW trouble AS (PARTITION BY a.id)
    ORDER BY a.id, a.as_of DESC, a.digest
) t
ORDER BY t.as_of DESC, t.id;
