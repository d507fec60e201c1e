-- Which trades of all symbols are settled, the newest first, with both sides?
--   after_at    only those of this time, and before it
--   after_id    and of those of this very time only the ones with a smaller id
--   since       only those from this time on
--   until       only those before this time
--   row_limit   so many at most
SELECT v.*
FROM settlement.v_settled_trades v
WHERE v.settled_at <= %(after_at)s::timestamptz
    AND (v.settled_at < %(after_at)s::timestamptz OR v.tx_id < %(after_id)s::uuid)
    AND v.settled_at >= %(since)s::timestamptz AND v.settled_at < %(until)s::timestamptz
ORDER BY v.settled_at DESC, v.tx_id DESC
LIMIT %(row_limit)s::bigint;
