-- I15: the legs that a trade was booked on are those that were told: amount, side and memo to the letter, and worth in
-- cents what the price in the message makes of them, but for rounding.
-- A row is a leg of a trade of which no message says this. Not judged are legs that no topic has any more.
-- By hand: as the head of views.sql shows.
WITH leg AS (
    SELECT tx_id, unnest([btc_id, usd_id]) AS leg_id, unnest([btc_leg, usd_leg]) AS leg FROM trade
),
word AS (
    SELECT said ->> '$.id' AS leg_id, said, source, "offset" FROM told WHERE topic = 'dealer.transactions'
        AND said ->> '$.id' IS NOT NULL
),
compared AS (
    SELECT l.tx_id, l.leg_id, l.leg, w.source, w."offset", w.said,
        abs(TRY_CAST(w.said ->> '$.settlement_amount' AS DECIMAL(38, 0))) = CAST(l.leg ->> '$.amount' AS DECIMAL(38, 0))
        AND w.said ->> '$.settlement_currency' = l.leg ->> '$.currency'
        AND w.said ->> '$.direction' = l.leg ->> '$.direction'
        AND w.said ->> '$.memo' IS NOT DISTINCT FROM l.leg ->> '$.memo'
        AND coalesce(w.said ->> '$.settlement_method', 'SettlementViaIntraLedger') = l.leg ->> '$.method'
        AND coalesce(w.said ->> '$.status', 'SUCCESS') = 'SUCCESS'
        AND coalesce(abs(
            TRY(CAST(l.leg ->> '$.amount' AS DECIMAL(20, 0)) * TRY_CAST(coalesce(w.said ->> '$.cents_per_unit',
                '1') AS DECIMAL(18, 12)))
            - CAST(l.leg ->> '$.cents' AS DECIMAL(26, 0))
        ) < 0.501, TRUE) AS fits
    FROM leg l JOIN word w USING (leg_id)
)
SELECT tx_id, leg_id, arg_min(source, "offset") AS source, min("offset") AS source_offset,
    arg_min(said, "offset") AS expected, any_value(leg) AS found
FROM compared GROUP BY tx_id, leg_id HAVING NOT bool_or(fits)
ORDER BY tx_id, leg_id;
-- figures: legs of trades that a topic has
SELECT count(DISTINCT (tx_id, leg_id)) FROM (SELECT tx_id, unnest([btc_id, usd_id]) AS leg_id FROM trade) l
JOIN (SELECT said ->> '$.id' AS leg_id FROM told WHERE topic = 'dealer.transactions') w USING (leg_id);
