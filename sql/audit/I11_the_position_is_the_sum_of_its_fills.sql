-- I11: what an exchange says that we hold is what our books have of its fills, up to the event that it says it as of.
-- A row is a venue with its newest position, in cents and less than zero when short, and what the fills come to. Fills
-- that the flows had not passed are added from the topic.
-- By hand: as the head of views.sql shows.
WITH newest AS (
    SELECT said ->> '$.venue' AS venue,
        arg_max(TRY_CAST(said ->> '$.exposure_cents' AS DECIMAL(38, 0)), (sequence, at_ms)) AS expected,
        max(sequence) AS sequence
    FROM fact
    WHERE topic = 'venue.positions' AND at_ms < (SELECT at_ms FROM passed) AND sequence IS NOT NULL
        AND 'POSITION_SUSPENSE/' || (said ->> '$.venue') IN (SELECT code FROM account)
        AND coalesce(said ->> '$.instrument', 'BTC-USD-SWAP') = 'BTC-USD-SWAP'
    GROUP BY 1
),
booked AS (
    SELECT t.meta ->> '$.venue' AS venue, t.meta ->> '$.event_id' AS id,
        CAST(t.meta ->> '$.sequence' AS BIGINT) AS sequence, sum(-m.moved) AS cents
    FROM tx t JOIN moved m USING (tx_id) JOIN account a USING (account_id)
    WHERE t.template IN ('FILL_BOUGHT', 'FILL_SOLD') AND a.code LIKE 'POSITION\_SUSPENSE/%' ESCAPE '\'
    GROUP BY ALL
),
told_of AS (
    SELECT said ->> '$.venue' AS venue, said ->> '$.id' AS id, TRY_CAST(said ->> '$.sequence' AS BIGINT) AS sequence,
        TRY_CAST(said ->> '$.contracts' AS DECIMAL(34, 0)) * 10000 AS cents
    FROM told WHERE topic = 'venue.fills' AND at_ms >= (SELECT at_ms FROM passed) AND said ->> '$.contracts' IS NOT NULL
),
fill AS (
    SELECT venue, sequence, cents, 0 AS late FROM booked
    UNION ALL SELECT venue, sequence, 0, cents FROM told_of WHERE (venue, id) NOT IN (SELECT (venue, id) FROM booked)
)
SELECT n.venue, n.sequence, n.expected, coalesce(sum(f.cents), 0) AS found, coalesce(sum(f.late), 0) AS not_yet
FROM newest n LEFT JOIN fill f ON f.venue = n.venue AND f.sequence <= n.sequence
GROUP BY n.venue, n.sequence, n.expected
HAVING n.expected NOT IN (coalesce(sum(f.cents), 0), coalesce(sum(f.cents) + sum(f.late), 0))
ORDER BY n.venue;
-- figures: venues of ours that have told a position
SELECT count(DISTINCT said ->> '$.venue') FROM told
WHERE topic = 'venue.positions' AND at_ms < (SELECT at_ms FROM passed)
    AND 'POSITION_SUSPENSE/' || (said ->> '$.venue') IN (SELECT code FROM account);
