-- T1: what was booked for a flow moves its amount on its buffer, against whose money it is, as its message tells it.
-- A row is a transaction with what its message says and what was booked: account, currency, side and amount of each entry.
-- Not judged is what was booked before its partition began.
-- By hand: as the head of views.sql shows.
WITH booked AS (
    SELECT t.tx_id, t.template, t.source, t.source_offset, t.meta ->> '$.flow' AS flow_id,
        list_sort(list(concat_ws(' ', a.code, e.currency, e.side, e.amount))) AS entries
    FROM tx t JOIN batch b USING (batch_id) JOIN begun g ON g.source = t.source
    LEFT JOIN entry e ON e.tx_id = t.tx_id AND e.leg <= t.n_entries - t.n_added LEFT JOIN account a USING (account_id)
    WHERE t.template IN ('BUFFER_FLOW', 'REVERT_BUFFER_FLOW') AND t.source_offset >= g.first
        AND b.recorded_at_us // 1000 >= g.at_ms
    GROUP BY ALL
),
flowed AS (
    SELECT source, "offset", said ->> '$.id' AS flow_id, upper(said ->> '$.buffer') AS buffer,
        CASE said ->> '$.buffer' WHEN 'system_buffer_usdc' THEN 'USDC' ELSE 'USD' END AS currency,
        CASE said ->> '$.cause' WHEN 'funding' THEN 'TREASURY_CAPITAL' ELSE 'CUSTOMER_FUNDS' END AS against,
        CASE WHEN said ->> '$.reverts' IS NULL THEN 'BUFFER_FLOW' ELSE 'REVERT_BUFFER_FLOW' END AS template,
        CAST(said ->> '$.amount' AS DECIMAL(38, 0)) AS amount
    FROM told WHERE topic = 'treasury.flows'
),
expected AS (
    SELECT *, list_sort([
        concat_ws(' ', buffer, currency, sign(amount), abs(amount)),
        concat_ws(' ', against, currency, -sign(amount), abs(amount))
    ]) AS entries
    FROM flowed
)
SELECT b.tx_id, b.flow_id, f.flow_id AS told_id, CAST(f.entries AS VARCHAR) AS expected, CAST(b.entries AS VARCHAR) AS found
FROM booked b LEFT JOIN expected f ON f.source = b.source AND f."offset" = b.source_offset
WHERE b.flow_id IS DISTINCT FROM f.flow_id OR b.template IS DISTINCT FROM f.template OR b.entries IS DISTINCT FROM f.entries
ORDER BY b.tx_id;
-- figures: postings of flows
SELECT count(*) FROM tx t JOIN begun g ON g.source = t.source
WHERE t.template IN ('BUFFER_FLOW', 'REVERT_BUFFER_FLOW') AND t.source_offset >= g.first;
