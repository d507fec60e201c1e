-- I3: every transaction balances, per currency and layer.
-- A row is a transaction in one currency and layer (1 settled, 2 pending, 3 encumbered) whose debits less credits are
-- not zero.
-- By hand: as the head of views.sql shows.
SELECT m.tx_id, m.currency, m.layer, 0 AS expected, sum(m.moved) AS found
FROM moved m
GROUP BY m.tx_id, m.currency, m.layer HAVING sum(m.moved) <> 0
ORDER BY m.tx_id, m.currency, m.layer;
-- figures: transactions with entries
SELECT count(DISTINCT tx_id) FROM entry;
