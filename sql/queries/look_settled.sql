-- Which posting is this number of a symbol?
--   id   a symbol and a number, such as BTC_USDT/17
SELECT t.tx_id
FROM ledger.tx t
WHERE t.template = 'TRADE_SETTLED' AND t.meta ->> 'symbol' = split_part(%(id)s::TEXT, '/', 1)
    AND (t.meta ->> 'sequence')::BIGINT
        = CASE WHEN split_part(%(id)s::TEXT, '/', 2) ~ '^[0-9]{1,18}$' THEN split_part(%(id)s::TEXT, '/', 2)::BIGINT END
ORDER BY t.tx_id;
