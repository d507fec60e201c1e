-- I2: an id is posted once, or rejected once, and never both.
-- A row is an id of a transaction that stands in the journal more than once, or among the rejected as well.
-- By hand: as the head of views.sql shows.
SELECT k.tx_id, 1 AS expected, count(*) AS found, string_agg(k.place, ', ' ORDER BY k.place) AS places
FROM (SELECT tx_id, 'tx' AS place FROM tx UNION ALL SELECT tx_id, 'reject' FROM reject) k
GROUP BY k.tx_id HAVING count(*) > 1
ORDER BY k.tx_id;
-- figures: transactions and rejections
SELECT (SELECT count(*) FROM tx) + (SELECT count(*) FROM reject);
