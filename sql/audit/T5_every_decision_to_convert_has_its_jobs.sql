-- T5: a live decision about a buffer is carried out by jobs that name it and come to its amount, at once; no other decision is.
-- A row is a decision with what it ordered and what its jobs come to, in micro-dollars. What was decided in the last minute
-- may be on its way.
-- By hand: as the head of views.sql shows.
WITH ordered AS (
    SELECT decision_id, sum(micros) AS micros, count(*) AS n,
        bool_and(CAST(said ->> '$.ordered_at' AS BIGINT) * 1000 = d.as_of_us) AS is_at_once,
        bool_and(CASE WHEN d.action = 'sweep_suggested' THEN source ELSE destination END = d.venue) AS is_of_it
    FROM job JOIN decision d ON d.id = job.decision_id GROUP BY decision_id
)
SELECT d.id, d.venue, d.book, d.action, CASE d.book WHEN 'live' THEN CAST(d.amount AS DECIMAL(38, 0)) ELSE 0 END AS expected,
    coalesce(o.micros, 0) AS found, coalesce(o.n, 0) AS jobs, d.as_of_us
FROM decision d LEFT JOIN ordered o ON o.decision_id = d.id
WHERE d.kind = 'buffer' AND d.recorded_at_us < (SELECT at_us - 60000000 FROM moment) AND (
    coalesce(o.micros, 0) <> CASE d.book WHEN 'live' THEN CAST(d.amount AS DECIMAL(38, 0)) ELSE 0 END
    OR NOT coalesce(o.is_at_once AND o.is_of_it, TRUE)
    OR (o.n > 0 AND d.action NOT IN ('convert', 'sweep_suggested'))
)
ORDER BY d.as_of_us, d.id;
-- figures: decisions about buffers
SELECT count(*) FROM decision WHERE kind = 'buffer';
