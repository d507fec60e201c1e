-- I12: every transaction is of a batch that read its source up to it, and what it names as its cause is there and came
-- before.
-- A row is a transaction and what of this is not so.
-- By hand: as the head of views.sql shows.
WITH span AS (
    SELECT batch_id, source, CAST(spans -> ('$."' || source || '"') AS BIGINT[]) AS offsets
    FROM (SELECT batch_id, source AS spans, unnest(json_keys(source)) AS source FROM batch)
),
judged AS (
    SELECT t.tx_id, t.batch_id, t.source, t.source_offset, t.cause_tx_id, CASE
        WHEN b.batch_id IS NULL THEN 'its batch is not there'
        WHEN s.offsets IS NULL OR t.source_offset NOT BETWEEN s.offsets[1]
            AND s.offsets[2] THEN 'its batch did not read its source'
        WHEN t.cause_tx_id IS NOT NULL AND c.tx_id IS NULL THEN 'its cause is not there'
        WHEN c.effective_at_us > t.effective_at_us OR c.batch_id > t.batch_id THEN 'its cause came after it'
        WHEN t.relation = 'expires'
            AND (c.expires_at_us IS NULL OR t.effective_at_us < c.expires_at_us) THEN 'its cause had not expired'
        WHEN t.relation IN ('captures', 'voids') AND t.effective_at_us >= c.expires_at_us THEN 'its cause had expired'
    END AS wrong
    FROM tx t
    LEFT JOIN batch b ON b.batch_id = t.batch_id
    LEFT JOIN span s ON s.batch_id = t.batch_id AND s.source = t.source
    LEFT JOIN tx c ON c.tx_id = t.cause_tx_id
)
SELECT tx_id, batch_id, wrong, source, source_offset, cause_tx_id FROM judged WHERE wrong IS NOT NULL
ORDER BY batch_id, tx_id;
-- figures: transactions
SELECT count(*) FROM tx;
