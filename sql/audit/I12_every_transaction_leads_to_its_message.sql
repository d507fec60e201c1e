-- I12: every transaction leads to the message that it comes from, by topic, partition and offset, and that one names
-- it.
-- A row is a transaction whose message is not there, or is about something else. Not judged is what people did at the
-- console, and what was booked before its partition began: a broker forgets.
-- By hand: as the head of views.sql shows.
WITH begun AS (SELECT topic || '/' || partition AS source, min("offset") AS first, min(at_ms) AS at_ms
FROM message GROUP BY ALL),
judged AS (
    SELECT t.tx_id, t.template, t.source, t.source_offset,
        coalesce(t.meta ->> '$.event_id', t.meta ->> '$.flow_id') AS name
    FROM tx t JOIN batch b USING (batch_id) JOIN begun g ON g.source = t.source
    WHERE t.source_offset >= g.first AND b.recorded_at_us // 1000 >= g.at_ms
)
SELECT j.tx_id, j.template, j.source, j.source_offset, j.name AS expected, m.said ->> '$.id' AS found
FROM judged j LEFT JOIN told m ON m.source = j.source AND m."offset" = j.source_offset
WHERE m.source IS NULL OR m.said IS NULL OR j.name <> m.said ->> '$.id'
ORDER BY j.source, j.source_offset, j.tx_id;
-- figures: transactions whose partition had begun
SELECT count(*) FROM tx t JOIN batch b USING (batch_id)
JOIN (
    SELECT topic || '/' || partition AS source, min("offset") AS first, min(at_ms) AS at_ms FROM message GROUP BY ALL
) g ON g.source = t.source
WHERE t.source_offset >= g.first AND b.recorded_at_us // 1000 >= g.at_ms;
