-- I5: every batch has as many headers, entries, rejections and conflicts as it says, and what it has names a batch that
-- is there.
-- A row is a batch with a kind of row, how many it says and how many there are.
-- By hand: as the head of views.sql shows.
WITH counted AS (
    SELECT batch_id, 'tx' AS kind, count(*) AS found FROM tx GROUP BY batch_id
    UNION ALL SELECT batch_id, 'entry', count(*) FROM entry GROUP BY batch_id
    UNION ALL SELECT batch_id, 'reject', count(*) FROM reject GROUP BY batch_id
    UNION ALL SELECT batch_id, 'conflict', count(*) FROM conflict GROUP BY batch_id
),
said AS (
    SELECT batch_id, unnest(['tx', 'entry', 'reject', 'conflict']) AS kind,
        unnest([n_tx, n_entries, n_rejected, n_conflicts]) AS expected
    FROM batch
)
SELECT batch_id, kind, s.expected, coalesce(c.found, 0) AS found
FROM said s FULL JOIN counted c USING (batch_id, kind)
WHERE s.expected IS DISTINCT FROM coalesce(c.found, 0)
ORDER BY batch_id, kind;
-- figures: batches
SELECT count(*) FROM batch;
