-- Which trades of a symbol are settled, in the order of their numbers, with both sides?
--   symbol   of this one
--   since    only those from this time on
--   until    only those before this time
SELECT v.*
FROM settlement.v_settled_trades v
WHERE v.symbol = %(symbol)s::text AND v.settled_at >= %(since)s::timestamptz AND v.settled_at < %(until)s::timestamptz
ORDER BY v.symbol, v.sequence;
