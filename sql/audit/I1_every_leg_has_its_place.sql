-- I1: every leg that a message told of is in one place: a live trade, waiting, or put aside (refused, let go by a person,
-- rejected by the ledger, taken back by a person). Another word on the same leg is the same leg.
-- A row is a leg with the places that it is in, none or several. What the flows had not passed is not yet anywhere, and
-- neither is a leg that has left its place since, or come back to wait: what is said of those that wait was read later
-- than the books, of an archive by minutes, and may be on its way for ten seconds.
-- By hand: as the head of views.sql shows.
WITH leg AS (
    SELECT said ->> '$.id' AS leg_id, max(at_ms) AS at_ms, arg_min(source, at_ms) AS source,
        arg_min("offset", at_ms) AS source_offset
    FROM told
    WHERE topic = 'dealer.transactions' AND said ->> '$.id' IS NOT NULL AND at_ms < (SELECT at_ms FROM passed)
    GROUP BY 1
),
fresh AS (SELECT batch_id FROM batch WHERE recorded_at_us >= (SELECT at_us - 10000000 FROM moment)),
booked AS (
    SELECT unnest([t.btc_id, t.usd_id]) AS leg_id, t.tx_id, t.taken_back_by, t.is_taken_back_by_hand,
        f.batch_id IS NOT NULL AS is_fresh
    FROM trade t LEFT JOIN tx r ON r.tx_id = t.taken_back_by
    LEFT JOIN fresh f ON f.batch_id = coalesce(r.batch_id, t.batch_id)
),
live AS (SELECT leg_id, 'trade ' || tx_id AS place, is_fresh FROM booked WHERE taken_back_by IS NULL),
word AS (
    SELECT leg_id, arg_max(state, "offset") AS state, arg_max(at_ms, "offset") AS at_ms FROM (
        SELECT TRY(decode(key)) AS leg_id, 'let go' AS state, at_ms, "offset" FROM message
        WHERE topic = 'legs.waiting' AND value = ''::BLOB
        UNION ALL
        SELECT said ->> '$.leg_id', said ->> '$.state', TRY_CAST(said ->> '$.as_of' AS BIGINT), "offset"
        FROM told WHERE topic = 'legs.waiting'
    ) w
    WHERE leg_id IS NOT NULL AND state IS NOT NULL AND at_ms IS NOT NULL GROUP BY leg_id
),
waiting AS (
    SELECT leg_id, state AS place FROM word
    WHERE state IN ('waiting', 'pending', 'too_old') AND leg_id NOT IN (SELECT leg_id FROM live WHERE is_fresh)
),
since AS (
    SELECT leg_id FROM word WHERE at_ms >= (SELECT at_ms FROM passed)
    UNION SELECT leg_id FROM booked WHERE taken_back_by IS NOT NULL AND is_fresh
),
aside AS (
    SELECT leg_id, 'refused' AS place FROM leg_refusal WHERE reason <> 'conflict'
    UNION
    SELECT said ->> '$.leg_id', 'refused' FROM told WHERE topic = 'legs.refused' AND said ->> '$.reason' <> 'conflict'
    UNION
    SELECT leg_id, 'let go' FROM word WHERE state = 'let go'
    UNION
    SELECT leg_id, 'taken back' FROM booked WHERE is_taken_back_by_hand
    UNION
    SELECT unnest([said ->> '$.meta.btc_leg.id', said ->> '$.meta.usd_leg.id']), 'rejected'
    FROM refused WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD')
        AND CAST(tx_id AS VARCHAR) NOT IN (
            SELECT meta ->> '$.rebooks' FROM tx WHERE source = 'console/rebookings' AND meta ->> '$.rebooks' IS NOT NULL
        )
),
place AS (
    SELECT leg_id, place FROM live
    UNION ALL SELECT * FROM waiting
    UNION ALL SELECT leg_id, min(place) FROM aside
    WHERE leg_id NOT IN (SELECT leg_id FROM live WHERE leg_id IS NOT NULL)
        AND leg_id NOT IN (SELECT leg_id FROM waiting)
    GROUP BY leg_id
)
SELECT l.leg_id, l.source, l.source_offset, 1 AS expected, count(p.place) AS found,
    string_agg(p.place, ', ' ORDER BY p.place) AS places
FROM leg l LEFT JOIN place p USING (leg_id)
WHERE l.leg_id NOT IN (SELECT leg_id FROM since WHERE leg_id IS NOT NULL)
GROUP BY l.leg_id, l.source, l.source_offset, l.at_ms
HAVING count(p.place) > 1
    OR (count(p.place) = 0 AND l.at_ms < (SELECT at_us // 1000 - 10000 FROM moment))
ORDER BY l.leg_id;
-- figures: legs
SELECT count(DISTINCT said ->> '$.id') FROM told
WHERE topic = 'dealer.transactions' AND said ->> '$.id' IS NOT NULL AND at_ms < (SELECT at_ms FROM passed);
