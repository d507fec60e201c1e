-- I15: what was booked for a single posting moves, or holds, the amount that its message asks for, on the two accounts
-- that it names.
-- A row is a transaction with what was asked and what was booked: account, side and amount of each entry. A hold books
-- on layers of its own, so its sides are not compared; what a capture releases is judged with its hold.
-- By hand: as the head of views.sql shows.
WITH booked AS (
    SELECT t.tx_id, t.template, t.source, t.source_offset, list_sort(list(DISTINCT concat_ws(
        ' ', a.code, CASE WHEN t.template <> 'HOLD' THEN e.side END, e.amount, e.currency
    ))) AS entries
    FROM tx t JOIN entry e USING (tx_id) JOIN account a USING (account_id)
    WHERE t.source LIKE 'ledger.postings/%' AND t.relation IS DISTINCT FROM 'reverses'
        AND (t.template = 'HOLD' OR (t.template IN ('TRANSFER', 'CAPTURE') AND e.layer = 1))
    GROUP BY ALL
),
asked AS (
    SELECT source, "offset", said ->> '$.key' AS key, said ->> '$.debit' AS debit, said ->> '$.credit' AS credit,
        (said ->> '$.amount') || ' ' || (said ->> '$.currency') AS amount
    FROM told WHERE topic = 'ledger.postings'
),
expected AS (
    SELECT b.tx_id, b.template, b.entries AS found, a.key, CASE b.template
        WHEN 'HOLD' THEN list_sort([concat_ws(' ', a.debit, a.amount), concat_ws(' ', a.credit, a.amount)])
        ELSE list_sort([concat_ws(' ', a.debit, 1, a.amount), concat_ws(' ', a.credit, -1, a.amount)])
    END AS expected
    FROM booked b JOIN asked a ON a.source = b.source AND a."offset" = b.source_offset
)
SELECT tx_id, template, key, CAST(expected AS VARCHAR) AS expected, CAST(found AS VARCHAR) AS found FROM expected
WHERE expected <> found
ORDER BY tx_id;
-- figures: single postings that were booked
SELECT count(*) FROM tx WHERE source LIKE 'ledger.postings/%' AND template IN ('TRANSFER', 'HOLD', 'CAPTURE');
