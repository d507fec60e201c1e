-- I13: what is available of every account, by its entries, is no less than its least, and its balance no more than its
-- most.
-- A row is an account and currency with the limit that it is beyond.
-- By hand: as the head of views.sql shows.
WITH summed AS (
    SELECT a.account_id, a.code, m.currency, a.min_available, a.max_balance,
        coalesce(sum(a.normal_side * m.moved) FILTER (WHERE m.layer = 1), 0) AS settled,
        coalesce(sum(m.amount) FILTER (WHERE m.layer > 1 AND m.side <> a.normal_side), 0) AS promised,
        coalesce(sum(m.amount) FILTER (WHERE m.layer > 1 AND m.side = a.normal_side), 0) AS expected
    FROM moved m JOIN account a USING (account_id)
    WHERE a.min_available IS NOT NULL OR a.max_balance IS NOT NULL
    GROUP BY ALL
)
SELECT account_id, currency, code AS account, min_available, settled - promised AS available, max_balance,
    settled + expected AS balance
FROM summed WHERE settled - promised < min_available OR settled + expected > max_balance
ORDER BY account_id, currency;
-- figures: accounts with a limit
SELECT count(*) FROM account WHERE min_available IS NOT NULL OR max_balance IS NOT NULL;
