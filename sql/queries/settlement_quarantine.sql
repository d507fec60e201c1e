-- Which words were refused, the newest first, why, and by how much? A trade may have been settled after all.
--   kind        only of this one, such as trade; NULL: of all
--   symbol      only of this one; NULL: of all
--   reason      only for this one; NULL: for all
--   after_at    only those of this time, and before it
--   after_key   and of those of this very time only the ones with a smaller key
--   row_limit   so many at most
SELECT r.recorded_at, r.kind, r.symbol, r.sequence, r.word_id, r.reason, r.shortfall, r.source, r."offset", r.as_of,
    concat_ws(' ', r.kind, r.word_id, encode(r.digest, 'hex'), r.source) AS key,
    CASE WHEN r.kind = 'trade' THEN EXISTS (
        SELECT FROM ledger.tx t
        WHERE t.template = 'TRADE_SETTLED' AND t.meta ->> 'symbol' = r.symbol COLLATE "default" AND (t.meta ->> 'sequence')::bigint = r.sequence
            AND t.meta ->> 'hash' = r.body ->> 'hash'
    ) END AS is_settled
FROM settlement.refusal r
WHERE r.recorded_at <= %(after_at)s::timestamptz
    AND (
        r.recorded_at < %(after_at)s::timestamptz
        OR concat_ws(' ', r.kind, r.word_id, encode(r.digest, 'hex'), r.source) COLLATE "C" < %(after_key)s::text
    )
    AND (%(kind)s::text IS NULL OR r.kind = %(kind)s::text)
    AND (%(symbol)s::text IS NULL OR r.symbol = %(symbol)s::text)
    AND (%(reason)s::text IS NULL OR r.reason = %(reason)s::text)
ORDER BY r.recorded_at DESC, concat_ws(' ', r.kind, r.word_id, encode(r.digest, 'hex'), r.source) COLLATE "C" DESC
LIMIT %(row_limit)s::bigint;
