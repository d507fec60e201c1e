-- I15: a user trade books the satoshis of its bitcoin leg and the cents of its dollar leg, on the sides that its name
-- says.
-- A row is a trade and currency with what the leg says (debits less credits of the account that stands against users)
-- and what is booked.
-- By hand: as the head of views.sql shows.
WITH leg AS (
    SELECT tx_id, template, unnest(['BTC', 'USD']) AS currency,
        unnest([CAST(btc_leg ->> '$.amount' AS DECIMAL(38, 0)),
            CAST(usd_leg ->> '$.amount' AS DECIMAL(38, 0))]) AS amount
    FROM trade
),
booked AS (
    SELECT m.tx_id, m.currency, sum(m.moved) AS moved
    FROM moved m JOIN account a USING (account_id) LEFT JOIN account p ON p.account_id = a.parent_id
    WHERE coalesce(p.code, a.code) IN ('EXTERNAL_OMNIBUS', 'STABLESATS_OMNIBUS') AND m.layer = 1
    GROUP BY m.tx_id, m.currency
)
SELECT l.tx_id, l.currency, CASE l.template WHEN 'USER_BUYS_USD' THEN l.amount ELSE -l.amount END AS expected,
    coalesce(b.moved, 0) AS found
FROM leg l LEFT JOIN booked b USING (tx_id, currency)
WHERE CASE l.template WHEN 'USER_BUYS_USD' THEN l.amount ELSE -l.amount END IS DISTINCT FROM coalesce(b.moved, 0)
ORDER BY l.tx_id, l.currency;
-- figures: trades
SELECT count(*) FROM trade;
