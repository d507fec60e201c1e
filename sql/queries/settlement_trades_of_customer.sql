-- Which trades has a customer made, the newest first, with both sides? Each spends from what the customer has locked, so the entries of
-- that account are gone through asset by asset, from a version downward; nothing else is read.
--   customer    who
--   after       versions by asset, of which older ones are wanted; NULL: from the newest
--   symbol      only of this one; NULL: of all
--   sequence    only this number; NULL: all
--   since       only those from this time on
--   until       only those before this time
--   row_limit   so many at most
SELECT v.*, w.locked_asset, w.locked_version
FROM (
    SELECT x.tx_id, x.batch_id, x.position, b.currency AS locked_asset, x.version AS locked_version
    FROM ledger.account a
    JOIN ledger.balance b USING (account_id)
    CROSS JOIN LATERAL (
        SELECT e.version, t.tx_id, t.batch_id, t.position
        FROM ledger.entry e
        JOIN ledger.tx t USING (tx_id)
        WHERE e.account_id = b.account_id AND e.currency = b.currency
            AND e.version < CASE WHEN %(after)s::jsonb IS NULL THEN b.version + 1
                ELSE coalesce((%(after)s::jsonb ->> b.currency)::bigint, 0) END
            AND t.template = 'TRADE_SETTLED'
            AND (%(symbol)s::text IS NULL OR t.meta ->> 'symbol' = %(symbol)s::text)
            AND (%(sequence)s::bigint IS NULL OR (t.meta ->> 'sequence')::bigint = %(sequence)s::bigint)
            AND t.effective_at >= %(since)s::timestamptz AND t.effective_at < %(until)s::timestamptz
        ORDER BY e.version DESC
        LIMIT %(row_limit)s::bigint
    ) x
    WHERE a.code = 'CUSTOMER_LOCKED/' || %(customer)s::text
    ORDER BY x.batch_id DESC, x.position DESC
    LIMIT %(row_limit)s::bigint
) w
JOIN settlement.v_settled_trades v USING (tx_id)
ORDER BY w.batch_id DESC, w.position DESC;
