-- I1: every single posting that somebody asked for by its key, and the flow had passed, is booked, rejected, or in
-- conflict with what was asked for first.
-- A row is such a message of which none of these is there. What asks for the same again is the same posting.
-- By hand: as the head of views.sql shows.
WITH asked AS (
    SELECT source, "offset", said ->> '$.key' AS key, concat_ws(
        ' ', CASE
            WHEN said ->> '$.captures' IS NOT NULL THEN 'capture ' || (said ->> '$.captures')
            WHEN said ->> '$.voids' IS NOT NULL THEN 'void ' || (said ->> '$.voids')
            WHEN said ->> '$.expires_at' IS NOT NULL THEN 'hold'
            ELSE 'transfer'
        END, CASE WHEN said ->> '$.voids' IS NULL THEN said ->> '$.key' END
    ) AS matter
    FROM told
    WHERE topic = 'ledger.postings' AND said ->> '$.key' IS NOT NULL AND at_ms < (
        SELECT min(least(gauge, as_of_us // 1000)) FROM gauge WHERE name = 'watermark_ms' AND step = 'book_singles'
    )
),
place AS (
    SELECT source, source_offset FROM tx
    UNION SELECT source, source_offset FROM reject
    UNION SELECT source, source_offset FROM conflict
)
SELECT a.source, a."offset", a.key, a.matter FROM asked a
WHERE a.matter NOT IN (
    SELECT b.matter FROM asked b JOIN place p ON p.source = b.source AND p.source_offset = b."offset"
)
ORDER BY a.source, a."offset";
-- figures: single postings
SELECT count(*) FROM told WHERE topic = 'ledger.postings' AND at_ms < (
    SELECT min(least(gauge, as_of_us // 1000)) FROM gauge WHERE name = 'watermark_ms' AND step = 'book_singles'
);
