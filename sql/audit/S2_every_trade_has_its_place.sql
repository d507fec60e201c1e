-- S2: every trade that was told, and the flow had passed, is settled, was refused, or waits behind one that never came or whose
-- link is broken.
-- A row is a trade of which none of these is so. A trade that is told again is the same trade.
-- By hand: as the head of views.sql shows.
WITH asked AS (
    SELECT source, "offset", said ->> '$.trade_id' AS trade_id, said ->> '$.symbol' AS symbol,
        TRY_CAST(said ->> '$.sequence' AS BIGINT) AS sequence, said ->> '$.hash' AS hash
    FROM told WHERE topic = 'trades.matched' AND at_ms < (SELECT at_ms FROM passed_settlement)
),
place AS (
    SELECT trade_id, hash FROM matched
    UNION SELECT id, word ->> '$.hash' FROM unsettled WHERE kind = 'trade'
    UNION SELECT a.trade_id, a.hash FROM asked a JOIN (
        SELECT source, source_offset FROM reject UNION SELECT source, source_offset FROM conflict
    ) r ON r.source = a.source AND r.source_offset = a."offset"
),
walked AS (
    SELECT symbol, sequence, row_number() OVER (PARTITION BY symbol ORDER BY sequence) AS n
    FROM (SELECT DISTINCT symbol, sequence FROM turn)
),
reached AS (SELECT symbol, max(sequence) AS sequence FROM walked WHERE sequence = n GROUP BY symbol)
SELECT DISTINCT a.trade_id, a.symbol, a.sequence, coalesce(r.sequence, 0) AS reached FROM asked a
LEFT JOIN reached r USING (symbol)
WHERE (a.trade_id, a.hash) NOT IN (SELECT (trade_id, hash) FROM place)
    AND a.sequence <= coalesce(r.sequence, 0) + 1
ORDER BY a.symbol, a.sequence, a.trade_id;
-- figures: trades
SELECT count(*) FROM told WHERE topic = 'trades.matched' AND at_ms < (SELECT at_ms FROM passed_settlement);
