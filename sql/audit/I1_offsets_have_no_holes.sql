-- I1: the messages of a partition follow each other without a gap, from the first to the last that its files are named
-- for.
-- A row is a partition with the offset that should have come and the one that came; nothing if none did. Where the
-- broker had no message under an offset, the manifest says so: the end of a transaction, or what was aborted. Topics
-- that keep the newest message of a key alone are not walked.
-- By hand: as the head of views.sql shows.
WITH kept AS (
    SELECT split_part(path, '/', 2) AS topic, CAST(split_part(split_part(path, '/', 3), '-', 1) AS BIGINT) AS partition,
        first, last, holes
    FROM file WHERE path LIKE 'topics/%/%'
),
hole AS (SELECT topic, partition, unnest(holes) AS hole FROM kept),
walked AS (
    SELECT topic, partition, "offset", lag("offset") OVER (PARTITION BY topic, partition ORDER BY "offset") AS before
    FROM message WHERE topic NOT IN ('ledger.balances', 'legs.waiting')
),
ends AS (
    SELECT k.topic, k.partition, k.first, k.last, min(m."offset") AS first_found, max(m."offset") AS last_found
    FROM (SELECT topic, partition, min(first) AS first, max(last) AS last FROM kept GROUP BY topic, partition) k
    LEFT JOIN message m ON m.topic = k.topic AND m.partition = k.partition
    GROUP BY ALL
)
SELECT w.topic, w.partition, w.before + 1 AS expected, w."offset" AS found
FROM walked w LEFT JOIN hole h
    ON h.topic = w.topic AND h.partition = w.partition AND h.hole[1] = w.before + 1 AND h.hole[2] = w."offset" - 1
WHERE w."offset" <> w.before + 1 AND h.topic IS NULL
UNION ALL
SELECT topic, partition, first, first_found FROM ends WHERE first IS DISTINCT FROM first_found
UNION ALL
SELECT topic, partition, last, last_found FROM ends WHERE last IS DISTINCT FROM last_found
ORDER BY 1, 2, 3;
-- figures: messages
SELECT count(*) FROM message WHERE topic NOT IN ('ledger.balances', 'legs.waiting');
