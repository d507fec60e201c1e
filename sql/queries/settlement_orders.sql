-- Which orders has a customer, the newest first, and what became of what each has locked? The customer's account of what is locked
-- has all of it, and nothing else is read. Amounts are in smallest units of the asset, times in epoch milliseconds.
--   customer    of whom
--   open_only   only orders of which something is still locked
--   row_limit   so many
SELECT o.order_id, o.asset, o.locked, o.spent, o.unlocked, o.locked - o.spent - o.unlocked AS still_locked, o.trades,
    o.locked_at, o.last_at
FROM (
    SELECT
        CASE
            WHEN t.template <> 'TRADE_SETTLED' THEN t.meta ->> 'name'
            WHEN t.meta ->> 'buyer' = %(customer)s::text THEN t.meta ->> 'buy_order'
            ELSE t.meta ->> 'sell_order'
        END AS order_id,
        min(e.currency) AS asset,
        coalesce(sum(e.amount) FILTER (WHERE t.template = 'ORDER_LOCKED'), 0) AS locked,
        coalesce(sum(e.amount) FILTER (WHERE t.template = 'TRADE_SETTLED'), 0) AS spent,
        coalesce(sum(e.amount) FILTER (WHERE t.template = 'ORDER_UNLOCKED'), 0) AS unlocked,
        count(*) FILTER (WHERE t.template = 'TRADE_SETTLED') AS trades,
        (extract(EPOCH FROM min(t.effective_at)) * 1000)::bigint AS locked_at,
        (extract(EPOCH FROM max(t.effective_at)) * 1000)::bigint AS last_at
    FROM ledger.account a JOIN ledger.entry e USING (account_id) JOIN ledger.tx t USING (tx_id)
    WHERE a.code = 'CUSTOMER_LOCKED/' || %(customer)s::text AND t.relation IS NULL
    GROUP BY 1
) o
WHERE NOT %(open_only)s::boolean OR o.locked > o.spent + o.unlocked
ORDER BY o.locked_at DESC, o.order_id DESC
LIMIT %(row_limit)s::bigint;
