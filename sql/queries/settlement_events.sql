-- What has moved what a customer has of an asset, the newest first, and what did each of the three accounts come to? In smallest units.
--   customer    who
--   asset       of what
--   after       versions by account (available, locked, debt), of which older ones are wanted; NULL: from the newest
--   row_limit   so many at most
SELECT x.effective_at, x.template, x.name, k.kind AS account, a.normal_side * x.side * x.amount AS change,
    a.normal_side * x.balance_after AS balance_after, x.version, x.tx_id
FROM (VALUES ('available', 'CUSTOMER/'), ('locked', 'CUSTOMER_LOCKED/'), ('debt', 'CUSTOMER_DEBT/')) AS k (kind, prefix)
JOIN ledger.account a ON a.code = k.prefix || %(customer)s::text
JOIN ledger.balance b ON b.account_id = a.account_id AND b.currency = %(asset)s::text
CROSS JOIN LATERAL (
    SELECT e.version, e.side, e.amount, e.balance_after, e.leg, t.tx_id, t.effective_at, t.template, t.batch_id, t.position,
        coalesce(t.meta ->> 'trade', t.meta ->> 'name') AS name
    FROM ledger.entry e
    JOIN ledger.tx t USING (tx_id)
    WHERE e.account_id = b.account_id AND e.currency = b.currency
        AND e.version < CASE WHEN %(after)s::jsonb IS NULL THEN b.version + 1
            ELSE coalesce((%(after)s::jsonb ->> k.kind)::bigint, 0) END
    ORDER BY e.version DESC
    LIMIT %(row_limit)s::bigint
) x
ORDER BY x.batch_id DESC, x.position DESC, x.leg DESC
LIMIT %(row_limit)s::bigint;
