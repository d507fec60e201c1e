-- S5: the trades of a symbol that were settled, or refused in their turn, are numbered from one without a hole, and each names
-- the hash of the one before it.
-- A row is a symbol with the number that should have come and the one that came, or the hash. Not judged are links of which the
-- message is gone: a broker forgets.
-- By hand: as the head of views.sql shows.
WITH walked AS (
    SELECT *, lag(sequence) OVER one AS before, lag(hash) OVER one AS hash_before
    FROM turn WINDOW one AS (PARTITION BY symbol ORDER BY sequence, hash)
),
judged AS (
    SELECT symbol, sequence, trade_id, CASE
        WHEN sequence <> coalesce(before, 0) + 1 THEN 'number ' || (coalesce(before, 0) + 1)
        WHEN previous_hash <> coalesce(hash_before, repeat('0', 32)) THEN 'hash ' || coalesce(hash_before, repeat('0', 32))
    END AS expected, previous_hash
    FROM walked
)
SELECT symbol, sequence, trade_id, expected, previous_hash FROM judged WHERE expected IS NOT NULL
ORDER BY symbol, sequence, trade_id;
-- figures: trades that had their turn
SELECT count(*) FROM turn;
