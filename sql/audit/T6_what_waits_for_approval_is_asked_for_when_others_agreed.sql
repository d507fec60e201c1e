-- T6: a job that waits for an approval is asked of a provider only when somebody else than who asked for it has agreed.
-- A row is a request to a provider for which nobody had agreed. Not judged is what was agreed before the messages begin.
-- By hand: as the head of views.sql shows.
SELECT c.client_id, c.job_id, f.said ->> '$.asked_by' AS asked_by, c.reserved_at_us
FROM conversion c JOIN job_step f ON f.job_id = c.job_id AND f.sequence = 1
WHERE CAST(f.said ->> '$.awaits_approval' AS BOOLEAN)
    AND (SELECT min(at_ms) FROM begun) <= CAST(f.said ->> '$.ordered_at' AS BIGINT)
    AND NOT EXISTS (
        SELECT 1 FROM told v
        WHERE v.topic = 'gov.approvals' AND v.said ->> '$.subject' = c.job_id AND v.said ->> '$.vote' = 'approve'
            AND v.said ->> '$.by' IS DISTINCT FROM f.said ->> '$.asked_by' AND v.at_ms * 1000 <= c.reserved_at_us
    )
ORDER BY c.client_id;
-- figures: jobs that wait for an approval
SELECT count(*) FROM job_step WHERE sequence = 1 AND CAST(said ->> '$.awaits_approval' AS BOOLEAN);
