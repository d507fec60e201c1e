-- I15: a fill books what its contracts are worth, at 10,000 cents each and the price that was told; a line of cash its
-- satoshis.
-- A row is a transaction with one thing that its message says otherwise. Not judged is what has no message any more.
-- By hand: as the head of views.sql shows.
WITH booked AS (
    SELECT t.tx_id, t.template, t.meta,
        CASE WHEN t.meta ->> '$.flow_id' IS NULL THEN 'venue.fills' ELSE 'venue.cashflows' END AS topic,
        coalesce(t.meta ->> '$.event_id', t.meta ->> '$.flow_id') AS id, e.amount
    FROM tx t JOIN entry e ON e.tx_id = t.tx_id AND e.leg = 1
    WHERE t.meta ->> '$.event_id' IS NOT NULL OR t.meta ->> '$.flow_id' IS NOT NULL
),
first_told AS (
    SELECT topic, said ->> '$.venue' AS venue, said ->> '$.id' AS id,
        arg_min(said, (at_ms, partition, "offset")) AS said
    FROM told WHERE topic IN ('venue.fills', 'venue.cashflows') AND said ->> '$.id' IS NOT NULL GROUP BY ALL
),
compared AS (
    SELECT b.tx_id, b.template, b.id, unnest([
        {
            'name': 'amount',
            'expected': CAST(abs(coalesce(
                TRY_CAST(f.said ->> '$.contracts' AS DECIMAL(34, 0)) * 10000,
                    TRY_CAST(f.said ->> '$.amount_sats' AS DECIMAL(38, 0))
            )) AS VARCHAR),
            'found': CAST(abs(b.amount) AS VARCHAR)
        },
        {'name': 'order', 'expected': f.said ->> '$.client_order_id', 'found': b.meta ->> '$.client_order_id'},
        {
            'name': 'price',
            'expected': CAST(TRY_CAST(f.said ->> '$.price_usd' AS DECIMAL(38, 18)) AS VARCHAR),
            'found': CAST(CAST(b.meta ->> '$.price_usd' AS DECIMAL(38, 18)) AS VARCHAR)
        }
    ]) AS one
    FROM booked b JOIN first_told f ON f.topic = b.topic AND f.venue = b.meta ->> '$.venue' AND f.id = b.id
)
SELECT tx_id, template, id, one.name AS of_column, one.expected AS expected, one.found AS found
FROM compared WHERE one.expected IS DISTINCT FROM one.found
ORDER BY tx_id, of_column;
-- figures: fills and lines of cash that are booked and have a message
SELECT count(*) FROM tx t JOIN told m ON m.source = t.source AND m."offset" = t.source_offset
WHERE t.meta ->> '$.event_id' IS NOT NULL OR t.meta ->> '$.flow_id' IS NOT NULL;
