-- I14: a transaction is reversed once at most.
-- A row is a transaction with the reversals that name it.
-- By hand: as the head of views.sql shows.
SELECT cause_tx_id AS tx_id, 1 AS expected, count(*) AS found,
    string_agg(CAST(tx_id AS VARCHAR), ', ' ORDER BY tx_id) AS reversals
FROM tx WHERE relation = 'reverses'
GROUP BY cause_tx_id HAVING count(*) > 1
ORDER BY 1;
-- figures: reversals
SELECT count(*) FROM tx WHERE relation = 'reverses';
