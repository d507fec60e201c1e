-- Which trades were refused and are not settled, in the order of their symbols and numbers, as they were told?
--   trade_id   only this one; NULL: all
--   symbol     only of this one; NULL: of all
--   reason     only for this one; NULL: for all
SELECT q.symbol, q.sequence, q.trade_id, q.reason, q.shortfall, q.as_of, q.recorded_at, q.body
FROM settlement.v_quarantine q
WHERE NOT q.is_settled
    AND (%(trade_id)s::text IS NULL OR q.trade_id = %(trade_id)s::text)
    AND (%(symbol)s::text IS NULL OR q.symbol = %(symbol)s::text)
    AND (%(reason)s::text IS NULL OR q.reason = %(reason)s::text)
ORDER BY q.symbol COLLATE "C", q.sequence, q.trade_id, q.recorded_at;
