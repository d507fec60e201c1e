-- What is known of a job?
--   job_id   its name
SELECT * FROM treasury.v_conversion_jobs v WHERE v.job_id = %(job_id)s::text;
