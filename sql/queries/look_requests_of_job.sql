-- What was asked of providers for this job, one attempt after the other?
--   id   the key of the job
SELECT r.client_id
FROM treasury.request r
WHERE r.kind IN ('conversion', 'cancel') AND r.body ->> 'job_id' = %(id)s::text
ORDER BY r.reserved_at, r.client_id;
