-- I14: what is said to have become of a transaction is what another one did to it, and nothing of that is missing.
-- A row is a resolution that follows from no header, or a header without its resolution.
-- By hand: as the head of views.sql shows.
WITH expected AS (
    SELECT tx_id, cause_tx_id, CASE relation
        WHEN 'reverses' THEN 'reversed' WHEN 'captures' THEN 'captured' WHEN 'voids' THEN 'voided' ELSE 'expired'
    END || CASE WHEN is_final THEN ', for good' ELSE '' END AS became
    FROM tx WHERE relation IS NOT NULL
),
said AS (SELECT tx_id, cause_tx_id, relation || CASE WHEN is_final THEN ', for good' ELSE '' END AS became
FROM resolution)
SELECT tx_id, cause_tx_id, e.became AS expected, s.became AS found
FROM expected e FULL JOIN said s USING (tx_id, cause_tx_id)
WHERE e.became IS DISTINCT FROM s.became
ORDER BY tx_id;
-- figures: transactions that name a cause
SELECT count(*) FROM tx WHERE relation IS NOT NULL;
