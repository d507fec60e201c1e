-- Which trades of a symbol are settled from a number on, upward, with both sides?
--   symbol           of this one
--   from_sequence    this number and those after it
--   until_sequence   and no number after this one
--   since            only those from this time on
--   until            only those before this time
--   row_limit        so many at most
SELECT v.*
FROM settlement.v_settled_trades v
WHERE v.symbol = %(symbol)s::text
    AND v.sequence >= %(from_sequence)s::bigint AND v.sequence <= %(until_sequence)s::bigint
    AND v.settled_at >= %(since)s::timestamptz AND v.settled_at < %(until)s::timestamptz
ORDER BY v.symbol, v.sequence
LIMIT %(row_limit)s::bigint;
