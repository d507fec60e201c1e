-- I4: every balance is the sum of its entries, on both sides of every layer, and its version counts them.
-- A row is one column of one balance: what the entries come to, and what the balance says; nothing if there is no such
-- balance.
-- By hand: as the head of views.sql shows.
WITH summed AS (
    SELECT
        account_id, currency, count(*) AS version,
        coalesce(sum(amount) FILTER (WHERE layer = 1 AND side = 1), 0) AS settled_debit,
        coalesce(sum(amount) FILTER (WHERE layer = 1 AND side = -1), 0) AS settled_credit,
        coalesce(sum(amount) FILTER (WHERE layer = 2 AND side = 1), 0) AS pending_debit,
        coalesce(sum(amount) FILTER (WHERE layer = 2 AND side = -1), 0) AS pending_credit,
        coalesce(sum(amount) FILTER (WHERE layer = 3 AND side = 1), 0) AS encumbered_debit,
        coalesce(sum(amount) FILTER (WHERE layer = 3 AND side = -1), 0) AS encumbered_credit
    FROM entry GROUP BY account_id, currency
),
compared AS (
    SELECT account_id, currency, unnest([
        {'name': 'version', 'expected': coalesce(s.version, 0)::DECIMAL(38, 0), 'found': b.version::DECIMAL(38, 0)},
        {'name': 'settled_debit', 'expected': coalesce(s.settled_debit, 0), 'found': b.settled_debit},
        {'name': 'settled_credit', 'expected': coalesce(s.settled_credit, 0), 'found': b.settled_credit},
        {'name': 'pending_debit', 'expected': coalesce(s.pending_debit, 0), 'found': b.pending_debit},
        {'name': 'pending_credit', 'expected': coalesce(s.pending_credit, 0), 'found': b.pending_credit},
        {'name': 'encumbered_debit', 'expected': coalesce(s.encumbered_debit, 0), 'found': b.encumbered_debit},
        {'name': 'encumbered_credit', 'expected': coalesce(s.encumbered_credit, 0), 'found': b.encumbered_credit}
    ]) AS one
    FROM summed s FULL JOIN balance b USING (account_id, currency)
)
SELECT c.account_id, c.currency, c.one.name AS of_column, a.code AS account, c.one.expected AS expected,
    c.one.found AS found
FROM compared c LEFT JOIN account a USING (account_id)
WHERE c.one.expected IS DISTINCT FROM c.one.found
ORDER BY c.account_id, c.currency, of_column;
-- figures: balances
SELECT count(*) FROM balance;
