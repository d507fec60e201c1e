-- S1: of every asset that customers have, everything on the shard of the settlement comes to zero: what they have and owe, what
-- was earned, and what is held for them.
-- A row is an asset with what its entries and its balances come to.
-- By hand: as the head of views.sql shows.
WITH of_entries AS (
    SELECT e.currency, sum(e.moved) AS came_to FROM moved e JOIN account a USING (account_id) WHERE a.shard = 8 GROUP BY ALL
),
of_balances AS (
    SELECT b.currency, sum(b.settled_debit - b.settled_credit) AS came_to FROM balance b JOIN account a USING (account_id)
    WHERE a.shard = 8 GROUP BY ALL
)
SELECT coalesce(e.currency, b.currency) AS asset, 0 AS expected, coalesce(e.came_to, 0) AS of_entries,
    coalesce(b.came_to, 0) AS of_balances
FROM of_entries e FULL JOIN of_balances b ON b.currency = e.currency
WHERE coalesce(e.came_to, 0) <> 0 OR coalesce(b.came_to, 0) <> 0
ORDER BY 1;
-- figures: assets
SELECT count(DISTINCT b.currency) FROM balance b JOIN account a USING (account_id) WHERE a.shard = 8;
