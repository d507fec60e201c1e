-- T4: the steps of a job are numbered without a gap, each leads on from the one before, what was ordered stays, and the
-- table of jobs has the last one.
-- A row is a step, and what of this is not so. An end is left only for money that moved after all.
-- By hand: as the head of views.sql shows.
WITH may(before, after) AS (
    VALUES ('pending', 'pending'), ('pending', 'provider_submitted'), ('pending', 'failed'), ('pending', 'cancelled'),
        ('provider_submitted', 'provider_processing'), ('provider_submitted', 'provider_completed'),
        ('provider_submitted', 'failed'), ('provider_submitted', 'cancelled'),
        ('provider_processing', 'provider_completed'), ('provider_processing', 'failed'),
        ('provider_processing', 'cancelled'), ('provider_completed', 'ledger_updating'),
        ('ledger_updating', 'ledger_updating'), ('ledger_updating', 'completed'),
        ('failed', 'provider_completed'), ('cancelled', 'provider_completed')
),
walked AS (
    SELECT *, concat_ws(' ', decision_id, source, destination, amount, said ->> '$.cause', said ->> '$.expected',
        said ->> '$.ordered_at', said ->> '$.window_end', said ->> '$.asked_by') AS ordered,
        row_number() OVER one AS n, lag(state) OVER one AS state_before, lag(attempt) OVER one AS attempt_before,
        row_number() OVER (PARTITION BY job_id ORDER BY sequence DESC) AS from_end
    FROM job_step WINDOW one AS (PARTITION BY job_id ORDER BY sequence)
),
judged AS (
    SELECT w.*, CASE
        WHEN w.sequence <> w.n THEN 'a step before it is not there'
        WHEN w.n = 1 AND w.state <> 'pending' THEN 'it does not begin as pending'
        WHEN w.n > 1 AND m.after IS NULL THEN 'no step leads here from ' || w.state_before
        WHEN w.attempt NOT BETWEEN w.attempt_before AND w.attempt_before + 1 THEN 'an attempt is left out'
        WHEN w.ordered <> first_value(w.ordered) OVER (PARTITION BY w.job_id ORDER BY w.n) THEN 'it orders something else'
    END AS wrong
    FROM walked w LEFT JOIN may m ON m.before = w.state_before AND m.after = w.state
)
SELECT job_id, sequence, state, wrong FROM judged WHERE wrong IS NOT NULL
UNION ALL
SELECT coalesce(j.job_id, w.job_id), coalesce(j.sequence, w.sequence), coalesce(j.state, w.state),
    'the table of jobs and its last step differ'
FROM job j FULL JOIN (SELECT * FROM walked WHERE from_end = 1) w ON w.job_id = j.job_id
WHERE w.said IS DISTINCT FROM j.said
ORDER BY 1, 2, 4;
-- figures: steps
SELECT count(*) FROM job_step;
