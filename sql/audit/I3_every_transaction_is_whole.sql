-- I3: every transaction has the entries that it says, numbered from 1, and no entry is zero.
-- A row is a transaction with how many entries it says and how many there are; legs that are missing or double show as
-- numbers.
-- By hand: as the head of views.sql shows.
WITH counted AS (
    SELECT tx_id, count(*) AS found, min(leg) AS first_leg, max(leg) AS last_leg, count(DISTINCT leg) AS legs,
        count(*) FILTER (WHERE amount = 0) AS zeros
    FROM entry GROUP BY tx_id
)
SELECT coalesce(t.tx_id, c.tx_id) AS tx_id, t.n_entries AS expected, coalesce(c.found, 0) AS found, c.first_leg,
    c.last_leg, c.zeros
FROM (SELECT DISTINCT tx_id, n_entries FROM tx) t FULL JOIN counted c ON c.tx_id = t.tx_id
WHERE t.n_entries IS DISTINCT FROM c.found OR c.first_leg <> 1 OR c.last_leg <> c.found OR c.legs <> c.found
    OR c.zeros > 0
ORDER BY 1;
-- figures: transactions
SELECT count(*) FROM tx;
