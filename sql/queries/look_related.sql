-- Which transactions are of the same matter: what this one resolves, such as the one that it reverses, what resolved it, and what
-- shares a leg with it?
--   tx_id   its id
WITH this AS (
    SELECT t.*, t.template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD') AS is_trade
    FROM ledger.tx t
    WHERE t.tx_id = %(tx_id)s::uuid
)
SELECT n.cause_tx_id AS tx_id, n.relation, TRUE AS came_before
FROM this n
WHERE n.cause_tx_id IS NOT NULL
UNION ALL
SELECT t.tx_id, t.relation, FALSE
FROM this n
JOIN ledger.resolution r ON r.cause_tx_id = n.tx_id
JOIN ledger.tx t ON t.tx_id = r.tx_id
UNION ALL
SELECT t.tx_id, NULL, (t.batch_id, t.position) < (n.batch_id, n.position)
FROM this n
JOIN ledger.tx t ON (t.effective_at, t.correlation_id) = (n.effective_at, n.correlation_id)
WHERE n.is_trade AND t.tx_id <> n.tx_id
    AND t.cause_tx_id IS DISTINCT FROM n.tx_id AND n.cause_tx_id IS DISTINCT FROM t.tx_id
    AND (
        t.meta -> 'btc_leg' ->> 'id' = n.meta -> 'btc_leg' ->> 'id'
        OR t.meta -> 'usd_leg' ->> 'id' = n.meta -> 'usd_leg' ->> 'id'
    )
ORDER BY 3 DESC, 1;
