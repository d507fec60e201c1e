-- I5: the content hash of every batch is the SHA-256 of its headers, entries, rejections and conflicts, a line for
-- each.
-- A row is a batch with the hash that its rows give and the one that it has; nothing if there is no such batch.
-- By hand: as the head of views.sql shows. The lines of a batch are put together before they are hashed, so of a large
-- ledger some batches are taken at a time; by hand all, or those that two variables name.
WITH lines AS (
    SELECT batch_id, 1 AS kind, position, 0 AS leg, '' AS name, concat_ws(
        chr(9), tx_id, template,
        CASE effective_at_us % 1000 WHEN 0 THEN CAST(effective_at_us // 1000 AS VARCHAR) ELSE effective_at_us || ' us' END,
        correlation_id, coalesce(relation || ' ' || cause_tx_id, '-'), source, source_offset, body_hash
    ) AS line
    FROM tx
    WHERE is_asked(batch_id)
    UNION ALL
    SELECT e.batch_id, 2, t.position, e.leg, '', concat_ws(
        chr(9), e.tx_id, e.version, e.account_id, e.leg, e.layer, e.side, e.currency, e.amount, e.balance_after
    )
    FROM entry e JOIN tx t ON t.tx_id = e.tx_id AND t.batch_id = e.batch_id
    WHERE is_asked(e.batch_id) AND is_asked(t.batch_id)
    UNION ALL
    SELECT batch_id, 3, position, 0, '', concat_ws(
        chr(9), tx_id, reason, coalesce(account, '\N'), coalesce(currency, '\N'), coalesce(shortfall, '\N'), template,
            source,
        source_offset, body_hash, sha256(payload)
    )
    FROM reject
    WHERE is_asked(batch_id)
    UNION ALL
    SELECT batch_id, 4, 0, 0, tx_id || body_hash, concat_ws(
        chr(9), tx_id, body_hash, template, source, source_offset, sha256(payload)
    )
    FROM conflict
    WHERE is_asked(batch_id)
),
hashed AS (
    SELECT batch_id, sha256(string_agg(line || chr(10), '' ORDER BY kind, position, leg, name)) AS content_hash
    FROM lines GROUP BY batch_id
),
asked AS (
    SELECT * FROM batch WHERE is_asked(batch_id)
)
SELECT batch_id, b.shard, coalesce(h.content_hash, sha256('')) AS expected, b.content_hash AS found
FROM asked b FULL JOIN hashed h USING (batch_id)
WHERE b.content_hash IS DISTINCT FROM coalesce(h.content_hash, sha256(''))
ORDER BY batch_id;
-- figures: batches
SELECT count(*) FROM batch;
-- pieces: the last batch of each half million entries
SELECT max(batch_id)
FROM (SELECT batch_id, sum(count(*)) OVER (ORDER BY batch_id) // 500000 AS piece FROM entry GROUP BY batch_id)
GROUP BY piece ORDER BY 1;
