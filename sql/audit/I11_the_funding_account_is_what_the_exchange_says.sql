-- I11: what an exchange says is in our funding account is what our books have there, up to the event that it says it as
-- of.
-- A row is a venue with both, in satoshis. Lines of cash that the flows had not passed are added from the topic.
-- By hand: as the head of views.sql shows.
WITH newest AS (
    SELECT said ->> '$.venue' AS venue,
        arg_max(TRY_CAST(said ->> '$.funding_sats' AS DECIMAL(38, 0)), (sequence, at_ms)) AS expected,
        max(sequence) AS sequence
    FROM fact
    WHERE topic = 'venue.balances' AND at_ms < (SELECT at_ms FROM passed) AND sequence IS NOT NULL
        AND 'FUNDING_ACCOUNT/' || (said ->> '$.venue') IN (SELECT code FROM account)
    GROUP BY 1
),
booked AS (
    SELECT t.meta ->> '$.venue' AS venue, t.meta ->> '$.flow_id' AS id,
        CAST(t.meta ->> '$.sequence' AS BIGINT) AS sequence, sum(m.moved) AS sats
    FROM tx t JOIN moved m USING (tx_id) JOIN account a USING (account_id)
    WHERE t.meta ->> '$.flow_id' IS NOT NULL AND a.code LIKE 'FUNDING\_ACCOUNT/%' ESCAPE '\'
    GROUP BY ALL
),
told_of AS (
    SELECT said ->> '$.venue' AS venue, said ->> '$.id' AS id, TRY_CAST(said ->> '$.sequence' AS BIGINT) AS sequence,
        TRY_CAST(said ->> '$.amount_sats' AS DECIMAL(38, 0))
        * CASE said ->> '$.kind' WHEN 'pocket_transfer' THEN -1 ELSE 1 END AS sats
    FROM told WHERE topic = 'venue.cashflows' AND at_ms >= (SELECT at_ms FROM passed)
        AND said ->> '$.kind' IN ('pocket_transfer', 'deposit', 'withdrawal', 'withdrawal_fee')
),
flow AS (
    SELECT venue, sequence, sats, 0 AS late FROM booked
    UNION ALL SELECT venue, sequence, 0, sats FROM told_of WHERE (venue, id) NOT IN (SELECT (venue, id) FROM booked)
)
SELECT n.venue, n.sequence, n.expected, coalesce(sum(f.sats), 0) AS found, coalesce(sum(f.late), 0) AS not_yet
FROM newest n LEFT JOIN flow f ON f.venue = n.venue AND f.sequence <= n.sequence
GROUP BY n.venue, n.sequence, n.expected
HAVING n.expected NOT IN (coalesce(sum(f.sats), 0), coalesce(sum(f.sats) + sum(f.late), 0))
ORDER BY n.venue;
-- figures: venues of ours that have told a balance
SELECT count(DISTINCT said ->> '$.venue') FROM told
WHERE topic = 'venue.balances' AND at_ms < (SELECT at_ms FROM passed)
    AND 'FUNDING_ACCOUNT/' || (said ->> '$.venue') IN (SELECT code FROM account);
