-- I7: every request is what the newest of its changes says, began reserved, and left no end but that of what never
-- arrived.
-- A row is a request with one thing that its changes say otherwise.
-- By hand: as the head of views.sql shows.
WITH walked AS (
    SELECT *, lag(stage) OVER one AS stage_before, row_number() OVER one AS n,
        row_number() OVER (PARTITION BY kind, client_id ORDER BY change_id DESC) AS from_end
    FROM request_change WINDOW one AS (PARTITION BY kind, client_id ORDER BY change_id)
),
compared AS (
    SELECT kind, client_id, unnest([
        {'name': 'state', 'expected': c.state, 'found': r.state},
        {'name': 'stage', 'expected': c.stage, 'found': r.stage},
        {'name': 'filled', 'expected': CAST(c.filled AS VARCHAR), 'found': CAST(r.filled AS VARCHAR)},
        {'name': 'sequence', 'expected': CAST(c.sequence AS VARCHAR), 'found': CAST(r.sequence AS VARCHAR)},
        {'name': 'reason', 'expected': c.reason, 'found': r.reason},
        {'name': 'decision_id', 'expected': c.decision_id, 'found': r.decision_id},
        {'name': 'counterparty', 'expected': c.counterparty, 'found': r.counterparty}
    ]) AS one
    FROM request r FULL JOIN (SELECT * FROM walked WHERE from_end = 1) c USING (kind, client_id)
)
SELECT kind, client_id, one.name AS of_column, one.expected AS expected, one.found AS found
FROM compared WHERE one.expected IS DISTINCT FROM one.found
UNION ALL
SELECT kind, client_id, 'change ' || change_id, 'reserved', state FROM walked WHERE n = 1 AND state <> 'reserved'
UNION ALL
SELECT kind, client_id, 'change ' || change_id, stage_before, stage FROM walked
WHERE stage_before = 'ended' OR (stage_before = 'never_arrived' AND stage <> 'ended')
ORDER BY 1, 2, 3;
-- figures: requests
SELECT count(*) FROM request;
