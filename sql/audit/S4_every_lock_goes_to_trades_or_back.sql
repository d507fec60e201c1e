-- S4: what an order has locked goes to its trades, or back to its customer: an order that has ended has given all of it away,
-- and no order more than it had.
-- A row is an order with what it locked, what its trades took and what was unlocked, in smallest units. What people have
-- reversed is not counted.
-- By hand: as the head of views.sql shows.
WITH held AS (
    SELECT t.template, t.name AS order_id, e.currency, sum(e.amount) AS amount
    FROM customer_tx t JOIN entry e USING (tx_id) JOIN account a USING (account_id)
    WHERE t.template IN ('ORDER_LOCKED', 'ORDER_UNLOCKED') AND starts_with(a.code, 'CUSTOMER_LOCKED/')
        AND t.tx_id NOT IN (SELECT cause_tx_id FROM tx WHERE relation = 'reverses')
    GROUP BY ALL
),
part AS (
    SELECT m.tx_id, CASE a.code WHEN 'CUSTOMER_LOCKED/' || (t.meta ->> '$.buyer') THEN m.buy_order ELSE m.sell_order END AS order_id,
        e.currency, e.amount
    FROM matched m JOIN tx t USING (tx_id) JOIN entry e USING (tx_id) JOIN account a USING (account_id)
    WHERE starts_with(a.code, 'CUSTOMER_LOCKED/') AND e.side = 1
        AND m.tx_id NOT IN (SELECT cause_tx_id FROM tx WHERE relation = 'reverses')
),
spent AS (SELECT order_id, currency, sum(amount) AS amount FROM part GROUP BY ALL),
summed AS (
    SELECT coalesce(l.order_id, s.order_id, u.order_id) AS order_id, coalesce(l.currency, s.currency, u.currency) AS asset,
        coalesce(l.amount, 0) AS locked, coalesce(s.amount, 0) AS spent, coalesce(u.amount, 0) AS unlocked,
        u.order_id IS NOT NULL AS has_ended
    FROM (FROM held WHERE template = 'ORDER_LOCKED') l
    FULL JOIN spent s ON (s.order_id, s.currency) = (l.order_id, l.currency)
    FULL JOIN (FROM held WHERE template = 'ORDER_UNLOCKED') u
        ON (u.order_id, u.currency) = (coalesce(l.order_id, s.order_id), coalesce(l.currency, s.currency))
)
SELECT order_id, asset, locked, spent, unlocked FROM summed
WHERE spent + unlocked > locked OR (has_ended AND spent + unlocked <> locked)
ORDER BY order_id, asset;
-- figures: orders
SELECT count(DISTINCT name) FROM customer_tx WHERE template = 'ORDER_LOCKED';
