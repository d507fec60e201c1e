-- The body of every posted transaction as it is hashed (BLAKE2b, 16 bytes), which DuckDB cannot do: Python does, see
-- app/reports/audit/bodies.py. What a transaction says, its entries without those that the ledger added, its metadata.
-- A row is a transaction with the text of its body and the hash that it names.
-- By hand: as the head of views.sql shows, and then hashlib.blake2b(body.encode(), digest_size=16).hexdigest()
WITH legs AS (
    SELECT e.tx_id, string_agg(
        concat_ws(chr(31), a.code, e.currency, e.layer, e.side, e.amount) || chr(30), '' ORDER BY e.leg
    ) AS legs
    FROM entry e JOIN tx t USING (tx_id) LEFT JOIN account a USING (account_id)
    WHERE e.leg <= t.n_entries - t.n_added
    GROUP BY e.tx_id
),
timed AS (
    SELECT *,
        CASE effective_at_us % 1000 WHEN 0 THEN CAST(effective_at_us // 1000 AS VARCHAR) ELSE effective_at_us || ' us' END
            AS at_ms,
        CASE expires_at_us % 1000 WHEN 0 THEN CAST(expires_at_us // 1000 AS VARCHAR) ELSE expires_at_us || ' us' END
            AS expires_ms
    FROM tx
)
SELECT
    CAST(t.tx_id AS VARCHAR) AS tx_id,
    concat_ws(
        chr(31), t.template, t.at_ms, t.correlation_id,
        coalesce(t.relation || ' ' || t.cause_tx_id || ' ' || CAST(t.is_final AS INTEGER), 'None'),
        CASE WHEN t.expires_at_us IS NOT NULL OR t.group_id IS NOT NULL THEN
            coalesce(t.expires_ms, 'None') || chr(31) || coalesce(t.group_id || chr(31) || t.group_size, '')
        END
    ) || chr(30) || coalesce(l.legs, '') || t.meta AS body,
    t.body_hash
FROM timed t LEFT JOIN legs l USING (tx_id);
