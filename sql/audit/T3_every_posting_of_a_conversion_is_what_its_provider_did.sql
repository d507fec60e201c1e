-- T3: what was booked for a conversion moves what its provider took, gave and kept, between the buffers that were asked for;
-- and nothing is booked whose amounts do not add up, or that nobody asked for.
-- A row is a transaction with what its provider's word says and what was booked: account, currency, side and amount of
-- each entry. Not judged is what was booked before its partition began.
-- By hand: as the head of views.sql shows.
WITH booked AS (
    SELECT c.tx_id, c.template, c.source, c.source_offset, c.job_id, c.client_id, c.provider, c.provider_tx_id,
        list_sort(list(concat_ws(' ', a.code, e.currency, e.side, e.amount))) AS entries
    FROM converted c JOIN tx t USING (tx_id) JOIN batch b ON b.batch_id = c.batch_id JOIN begun g ON g.source = c.source
    LEFT JOIN entry e ON e.tx_id = c.tx_id AND e.leg <= t.n_entries - t.n_added LEFT JOIN account a USING (account_id)
    WHERE c.source_offset >= g.first AND b.recorded_at_us // 1000 >= g.at_ms
    GROUP BY ALL
),
legs AS (
    SELECT *, source_currency = destination_currency AS is_transfer, upper(source_buffer) AS gives,
        upper(destination_buffer) AS gets
    FROM completed WHERE adds_up
),
expected AS (
    SELECT *, list_sort([concat_ws(' ', one.code, one.currency, one.side, one.amount) FOR one IN CASE
        WHEN is_transfer THEN [
            {'code': gives, 'currency': source_currency, 'side': -1, 'amount': given + kept},
            {'code': gets, 'currency': source_currency, 'side': 1, 'amount': given},
            {'code': 'CONVERSION_FEES', 'currency': source_currency, 'side': 1, 'amount': kept}
        ] ELSE [
            {'code': gives, 'currency': source_currency, 'side': -1, 'amount': taken},
            {'code': 'FX_CLEARING', 'currency': source_currency, 'side': 1, 'amount': taken},
            {'code': 'FX_CLEARING', 'currency': destination_currency, 'side': -1, 'amount': given + kept},
            {'code': gets, 'currency': destination_currency, 'side': 1, 'amount': given},
            {'code': 'CONVERSION_FEES', 'currency': destination_currency, 'side': 1, 'amount': kept}
        ]
    END IF one.amount <> 0]) AS entries, CASE WHEN is_transfer THEN 'BUFFER_TRANSFER' ELSE 'CONVERSION' END AS template
    FROM legs
)
SELECT b.tx_id, b.job_id, b.client_id, b.provider, b.provider_tx_id, CAST(w.entries AS VARCHAR) AS expected,
    CAST(b.entries AS VARCHAR) AS found
FROM booked b LEFT JOIN expected w ON w.source = b.source AND w."offset" = b.source_offset
WHERE w.client_id IS NULL OR b.entries <> w.entries
    OR (b.template, b.job_id, b.client_id, b.provider, b.provider_tx_id)
        IS DISTINCT FROM (w.template, w.job_id, w.client_id, w.provider, w.provider_tx_id)
ORDER BY b.tx_id;
-- figures: postings of conversions
SELECT count(*) FROM converted c JOIN begun g ON g.source = c.source WHERE c.source_offset >= g.first;
