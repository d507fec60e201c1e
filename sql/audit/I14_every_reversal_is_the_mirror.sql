-- I14: a transaction and its reversal come to zero on every account, and neither holds anything.
-- A row is a reversal with an account and currency on which the two do not come to zero.
-- By hand: as the head of views.sql shows.
WITH pair AS (
    SELECT tx_id AS reversal, tx_id FROM tx WHERE relation = 'reverses'
    UNION ALL SELECT tx_id, cause_tx_id FROM tx WHERE relation = 'reverses'
)
SELECT p.reversal AS tx_id, m.account_id, m.currency, m.layer, 0 AS expected, sum(m.moved) AS found
FROM pair p JOIN moved m ON m.tx_id = p.tx_id
WHERE m.layer = 1 OR m.tx_id = p.reversal
GROUP BY p.reversal, m.account_id, m.currency, m.layer HAVING sum(m.moved) <> 0 OR m.layer > 1
ORDER BY p.reversal, m.account_id;
-- figures: reversals
SELECT count(*) FROM tx WHERE relation = 'reverses';
