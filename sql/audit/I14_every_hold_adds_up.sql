-- I14: of a hold no more is released than was held, it ends once, and nothing is left of it then.
-- A row is a hold with an account, currency, layer and side, what is left there, and how many times it has ended.
-- By hand: as the head of views.sql shows.
WITH ending AS (
    SELECT cause_tx_id AS hold, tx_id, is_final FROM tx WHERE relation IN ('captures', 'voids', 'expires')
),
hold AS (
    SELECT tx_id AS hold FROM entry WHERE layer > 1 AND amount > 0
    UNION SELECT hold FROM ending
),
part AS (
    SELECT hold, hold AS tx_id FROM hold
    UNION ALL SELECT hold, tx_id FROM ending
),
ends AS (SELECT hold, count(*) FILTER (WHERE is_final) AS n_ends FROM ending GROUP BY hold)
SELECT p.hold AS tx_id, e.account_id, e.currency, e.layer, e.side, sum(e.amount) AS left_over,
    coalesce(n.n_ends, 0) AS ends
FROM part p JOIN entry e ON e.tx_id = p.tx_id LEFT JOIN ends n ON n.hold = p.hold
WHERE e.layer > 1 AND NOT (p.tx_id <> p.hold AND e.amount > 0)
GROUP BY ALL HAVING sum(e.amount) < 0 OR coalesce(n.n_ends, 0) > 1 OR (n.n_ends = 1 AND sum(e.amount) <> 0)
UNION ALL
SELECT e.tx_id, e.account_id, e.currency, e.layer, e.side, e.amount, NULL
FROM entry e JOIN tx t USING (tx_id)
WHERE e.layer > 1 AND CASE WHEN t.relation IS NULL THEN e.amount < 0 ELSE e.amount > 0 END
ORDER BY 1, 2;
-- figures: holds
SELECT count(DISTINCT tx_id) FROM entry WHERE layer > 1 AND amount > 0;
