-- Which trades is this leg in, or was it in, and which that name it were rejected?
--   id   the id of the leg
SELECT
    t.tx_id, t.template, 'posted' AS outcome, t.effective_at, t.meta -> 'btc_leg' ->> 'id' AS btc_leg,
    t.meta -> 'usd_leg' ->> 'id' AS usd_leg, t.reversed_by, NULL AS reason
FROM ledger.transactions t
WHERE t.tx_id IN (
    SELECT b.tx_id FROM ledger.tx b WHERE ledger.leg_key(b.meta, 1) = ledger.leg_key(%(id)s::text)
        AND b.meta -> 'btc_leg' ->> 'id' = %(id)s::text
        AND b.template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
    UNION
    SELECT u.tx_id FROM ledger.tx u WHERE ledger.leg_key(u.meta, 2) = ledger.leg_key(%(id)s::text)
        AND u.meta -> 'usd_leg' ->> 'id' = %(id)s::text
        AND u.template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
)
UNION ALL
SELECT
    r.tx_id, r.template, 'rejected', NULL, r.payload -> 'meta' -> 'btc_leg' ->> 'id', r.payload -> 'meta' -> 'usd_leg' ->> 'id',
    NULL, r.reason
FROM ledger.reject r
WHERE %(id)s::text IN (r.payload -> 'meta' -> 'btc_leg' ->> 'id', r.payload -> 'meta' -> 'usd_leg' ->> 'id')
ORDER BY 4, 1;
