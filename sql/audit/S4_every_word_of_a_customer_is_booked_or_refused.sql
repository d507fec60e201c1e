-- S4: every deposit, withdrawal, debit, transfer, lock and unlock that was told, and the settlement had passed, is booked once by
-- its name, was refused, or is in conflict with what was told first.
-- A row is such a word with how often it is booked. What is told again is the same word.
-- By hand: as the head of views.sql shows.
WITH asked AS (
    SELECT source, "offset", coalesce(said ->> '$.kind', said ->> '$.command') AS kind,
        coalesce(said ->> '$.id', said ->> '$.order_id') AS id
    FROM told WHERE topic IN ('settlement.flows', 'orders.locks') AND at_ms < (SELECT at_ms FROM passed_settlement)
),
named AS (
    SELECT *, CASE kind WHEN 'lock' THEN 'ORDER_LOCKED' WHEN 'unlock' THEN 'ORDER_UNLOCKED' ELSE 'CUSTOMER_' || upper(kind) END
        AS template
    FROM asked
),
booked AS (SELECT template, name AS id, count(*) AS n FROM customer_tx GROUP BY ALL),
aside AS (SELECT source, source_offset FROM reject UNION SELECT source, source_offset FROM conflict)
SELECT DISTINCT n.kind, n.id, coalesce(b.n, 0) AS booked FROM named n LEFT JOIN booked b USING (template, id)
WHERE b.n IS NULL AND (n.kind, n.id) NOT IN (SELECT (kind, id) FROM unsettled)
    AND (n.kind, n.id) NOT IN (
        SELECT (m.kind, m.id) FROM named m JOIN aside a ON a.source = m.source AND a.source_offset = m."offset"
    )
UNION ALL
SELECT template, id, n FROM booked WHERE n > 1
ORDER BY 1, 2;
-- figures: words of customers
SELECT count(*) FROM told
WHERE topic IN ('settlement.flows', 'orders.locks') AND at_ms < (SELECT at_ms FROM passed_settlement);
