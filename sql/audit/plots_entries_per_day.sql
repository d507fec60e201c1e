-- How many entries were booked on each day in UTC, by the time they were recorded.
SELECT strftime(make_timestamp(b.recorded_at_us), '%Y-%m-%d') AS day, count(*) AS entries
FROM entry e JOIN batch b USING (batch_id) GROUP BY day ORDER BY day;
