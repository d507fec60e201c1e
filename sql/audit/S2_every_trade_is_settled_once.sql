-- S2: no trade is settled twice, whether under its own name, or as the number that it has in its symbol: a symbol has as many
-- trades of a number as it has chains, and so many first ones.
-- A row is such a name with how often it is booked.
-- By hand: as the head of views.sql shows.
SELECT 'trade' AS kind, trade_id AS name, count(*) AS found, string_agg(CAST(tx_id AS VARCHAR), ', ' ORDER BY tx_id) AS tx_ids
FROM matched GROUP BY trade_id HAVING count(*) > 1
UNION ALL
SELECT 'number', concat_ws('/', symbol, sequence), count(*), string_agg(CAST(tx_id AS VARCHAR), ', ' ORDER BY tx_id)
FROM matched m GROUP BY symbol, sequence
HAVING count(*) > greatest(1, (SELECT count(*) FROM turn f WHERE f.symbol = m.symbol AND f.sequence = 1))
ORDER BY 1, 2;
-- figures: settled trades
SELECT count(*) FROM matched;
