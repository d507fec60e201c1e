-- I1: every fill and every line of cash that an exchange told of, and the flows had passed, is booked or rejected by
-- its name.
-- A row is such a message of which neither is there. A line of zero books nothing.
-- By hand: as the head of views.sql shows.
WITH judged AS (
    SELECT template, meta ->> '$.venue' AS venue, coalesce(meta ->> '$.event_id', meta ->> '$.flow_id') AS id FROM tx
    UNION ALL
    SELECT template, said ->> '$.meta.venue', coalesce(said ->> '$.meta.event_id', said ->> '$.meta.flow_id')
    FROM refused
),
named AS (
    SELECT CASE WHEN template IN ('FILL_BOUGHT', 'FILL_SOLD') THEN 'venue.fills' ELSE 'venue.cashflows' END AS topic,
        venue, id
    FROM judged WHERE id IS NOT NULL AND template NOT IN ('INCREASE_EXCHANGE_POSITION', 'DECREASE_EXCHANGE_POSITION')
)
SELECT t.topic, t.partition, t."offset", t.said ->> '$.venue' AS venue, t.said ->> '$.id' AS id
FROM told t LEFT JOIN named n ON n.topic = t.topic AND n.venue = t.said ->> '$.venue' AND n.id = t.said ->> '$.id'
WHERE t.topic IN ('venue.fills', 'venue.cashflows') AND t.said ->> '$.id' IS NOT NULL AND n.id IS NULL
    AND coalesce(t.said ->> '$.amount_sats', '') <> '0' AND t.at_ms < (SELECT at_ms FROM passed)
ORDER BY t.topic, t.partition, t."offset";
-- figures: fills and lines of cash
SELECT count(*) FROM told WHERE topic IN ('venue.fills', 'venue.cashflows') AND at_ms < (SELECT at_ms FROM passed);
