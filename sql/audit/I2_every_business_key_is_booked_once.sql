-- I2: what has a name outside is booked once: a fill, its move of the position, a line of cash, and a leg in one live
-- trade.
-- A row is such a name with the transactions that book it.
-- By hand: as the head of views.sql shows.
WITH named AS (
    SELECT tx_id, 'fill' AS kind, concat_ws('/', meta ->> '$.venue', meta ->> '$.event_id') AS name
    FROM tx WHERE template IN ('FILL_BOUGHT', 'FILL_SOLD') AND relation IS NULL
    UNION ALL
    SELECT tx_id, 'position', concat_ws('/', meta ->> '$.venue', meta ->> '$.event_id')
    FROM tx WHERE template IN ('INCREASE_EXCHANGE_POSITION', 'DECREASE_EXCHANGE_POSITION') AND relation IS NULL
    UNION ALL
    SELECT tx_id, 'cash', concat_ws('/', meta ->> '$.venue', meta ->> '$.flow_id')
    FROM tx WHERE meta ->> '$.flow_id' IS NOT NULL AND relation IS NULL
    UNION ALL
    SELECT tx_id, 'leg', unnest([btc_id, usd_id]) FROM trade WHERE taken_back_by IS NULL
)
SELECT n.kind, n.name, 1 AS expected, count(*) AS found,
    string_agg(CAST(n.tx_id AS VARCHAR), ', ' ORDER BY n.tx_id) AS tx_ids
FROM named n
GROUP BY n.kind, n.name HAVING count(*) > 1
ORDER BY n.kind, n.name;
-- figures: transactions that book what has a name outside
SELECT count(*) FROM tx WHERE relation IS NULL
    AND (meta ->> '$.event_id' IS NOT NULL OR meta ->> '$.flow_id' IS NOT NULL OR meta ->> '$.btc_leg.id' IS NOT NULL);
