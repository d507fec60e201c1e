-- S5: the trades of a symbol that were settled, or refused in their turn, are numbered from one without a hole, and each names
-- the hash of the one before it. A chain may begin anew, as it does behind a broker that has forgotten everything.
-- A row is a trade whose predecessor is not there, with what it should have been: a number, or a hash. Not judged are links of
-- which the message is gone: a broker forgets.
-- By hand: as the head of views.sql shows.
WITH judged AS (
    SELECT t.symbol, t.sequence, t.trade_id, t.previous_hash,
        t.sequence > 1 AND NOT EXISTS (
            SELECT 1 FROM turn n WHERE n.symbol = t.symbol AND n.sequence = t.sequence - 1
        ) AS lacks_number,
        CASE
            WHEN t.sequence = 1 THEN t.previous_hash <> repeat('0', 32)
            ELSE t.previous_hash IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM turn n WHERE n.symbol = t.symbol AND n.sequence = t.sequence - 1 AND n.hash = t.previous_hash
            )
        END AS lacks_hash
    FROM turn t
)
SELECT symbol, sequence, trade_id, CASE WHEN lacks_number THEN 'number ' || (sequence - 1) ELSE 'hash before it' END AS expected,
    previous_hash
FROM judged WHERE lacks_number OR lacks_hash
ORDER BY symbol, sequence, trade_id;
-- figures: trades that had their turn
SELECT count(*) FROM turn;
