-- Which trades of a symbol are settled, the newest number first, with both sides?
--   symbol           of this one
--   after_sequence   only those under this number; NULL: from the newest
--   since            only those from this time on
--   until            only those before this time
--   row_limit        so many at most
SELECT v.*
FROM settlement.v_settled_trades v
WHERE v.symbol = %(symbol)s::text AND v.sequence < coalesce(%(after_sequence)s::bigint, 9223372036854775807)
    AND v.settled_at >= %(since)s::timestamptz AND v.settled_at < %(until)s::timestamptz
ORDER BY v.symbol DESC, v.sequence DESC
LIMIT %(row_limit)s::bigint;
