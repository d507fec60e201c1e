-- T1: every flow of a buffer that the flow had passed is booked once by its id, rejected, or in conflict with what was told
-- first.
-- A row is a flow with how often it is booked. What is told again is the same flow.
-- By hand: as the head of views.sql shows.
WITH flowed AS (
    SELECT source, "offset", said ->> '$.id' AS flow_id,
        CASE WHEN said ->> '$.reverts' IS NULL THEN 'BUFFER_FLOW' ELSE 'REVERT_BUFFER_FLOW' END AS template
    FROM told
    WHERE topic = 'treasury.flows' AND said ->> '$.id' IS NOT NULL AND at_ms < (SELECT at_ms FROM passed_buffers)
),
booked AS (
    SELECT template, meta ->> '$.flow' AS flow_id, count(*) AS n FROM tx
    WHERE template IN ('BUFFER_FLOW', 'REVERT_BUFFER_FLOW') GROUP BY ALL
),
aside AS (
    SELECT source, source_offset FROM reject
    UNION SELECT source, source_offset FROM conflict
)
SELECT DISTINCT f.flow_id, f.template, coalesce(b.n, 0) AS booked FROM flowed f LEFT JOIN booked b USING (template, flow_id)
WHERE b.n IS NULL AND (f.template, f.flow_id) NOT IN (
    SELECT (g.template, g.flow_id) FROM flowed g JOIN aside a ON a.source = g.source AND a.source_offset = g."offset"
)
UNION ALL
SELECT flow_id, template, n FROM booked WHERE n > 1
ORDER BY 1, 2;
-- figures: flows
SELECT count(*) FROM told WHERE topic = 'treasury.flows' AND at_ms < (SELECT at_ms FROM passed_buffers);
