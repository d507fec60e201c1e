-- Which words of the settlement were refused under this name, or as this number of a symbol?
--   id   the id of a trade, an order, a flow or a correction; or a symbol and a number, such as BTC_USDT/17
SELECT f.kind, f.word_id, f.reason, f.shortfall::TEXT AS shortfall, f.source, f."offset" AS source_offset, f.symbol, f.sequence,
    f.as_of, f.recorded_at
FROM settlement.refusal f
WHERE f.kind IN ('trade', 'replay', 'lock', 'unlock', 'deposit', 'withdrawal', 'debit', 'transfer', 'correction')
    AND f.word_id = %(id)s::TEXT
UNION
SELECT f.kind, f.word_id, f.reason, f.shortfall::TEXT, f.source, f."offset", f.symbol, f.sequence, f.as_of, f.recorded_at
FROM settlement.refusal f
WHERE f.kind = 'trade' AND f.symbol = split_part(%(id)s::TEXT, '/', 1)
    AND f.sequence = CASE WHEN split_part(%(id)s::TEXT, '/', 2) ~ '^[0-9]{1,18}$' THEN split_part(%(id)s::TEXT, '/', 2)::BIGINT END
ORDER BY recorded_at, source, source_offset, kind, word_id;
