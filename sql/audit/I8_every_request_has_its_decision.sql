-- I8: every order and transfer was decided on: one decision asks for what it asks, of the same venue, at the same time;
-- one request for each.
-- A row is a request with what its decision says otherwise. Decisions of the last minute may be on their way. What is asked
-- of providers belongs to jobs, see T6.
-- By hand: as the head of views.sql shows.
WITH asked AS (
    SELECT r.*, d.id AS found_id, d.venue, d.kind AS decided, d.action AS decided_action, d.amount AS decided_amount,
        d.as_of_us AS decided_at_us,
        r.body ->> '$.action' AS action,
        CAST(coalesce(r.body ->> '$.contracts', r.body ->> '$.amount_sats') AS DECIMAL(38, 0)) AS amount,
        count(*) OVER (PARTITION BY r.kind, r.decision_id) AS n_requests
    FROM request r LEFT JOIN decision d ON d.id = r.decision_id
    WHERE r.kind IN ('order', 'transfer')
),
compared AS (
    SELECT kind, client_id, decision_id, unnest([
        {'name': 'decision', 'expected': decision_id, 'found': found_id},
        {'name': 'requests', 'expected': '1', 'found': CAST(n_requests AS VARCHAR)},
        {'name': 'venue', 'expected': coalesce(venue, counterparty), 'found': counterparty},
        {'name': 'kind',
            'expected': CASE decided WHEN 'hedge' THEN 'order' WHEN 'funding' THEN 'transfer' ELSE kind END, 'found': kind},
        {'name': 'action', 'expected': coalesce(decided_action, action),
            'found': coalesce(action, body ->> '$.kind', decided_action)},
        {'name': 'amount', 'expected': CAST(coalesce(decided_amount, amount) AS VARCHAR),
            'found': CAST(amount AS VARCHAR)},
        {'name': 'as_of', 'expected': CAST(coalesce(decided_at_us, as_of_us) AS VARCHAR),
            'found': CAST(as_of_us AS VARCHAR)}
    ]) AS one
    FROM asked WHERE found_id IS NOT NULL OR reserved_at_us < (SELECT at_us - 60000000 FROM moment)
)
SELECT kind, client_id, one.name AS of_column, decision_id, one.expected AS expected, one.found AS found
FROM compared WHERE one.expected IS DISTINCT FROM one.found
ORDER BY kind, client_id, of_column;
-- figures: orders and transfers
SELECT count(*) FROM request WHERE kind IN ('order', 'transfer');
