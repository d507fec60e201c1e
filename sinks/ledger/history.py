"""What was posted, for whoever no longer remembers it: by the matter that it is about, and by the legs of a user trade.

A matter is asked for with its time, by which the index grows at its right end. A leg is asked for by its id alone, in whatever
second it was told: two indexes over the metadata of user trades answer that, by what stands there of the id. What is found by a
leg comes with everything else of its matter, since legs that could be paired with each other can only be judged together.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress

from psycopg import OperationalError

from domain.ledger.journal import History, Matter, Transaction
from domain.pairing.booked import BookedLegs, BookedTrade
from sinks.ledger.reading import HEADER_COLUMNS, header
from sinks.postgres import Connection, connect

_OF_MATTERS = f"""
    SELECT {HEADER_COLUMNS.format("t")}
    FROM unnest(%s::UUID[], %s::BIGINT[], %s::BIGINT[]) AS m (id, since_ms, until_ms)
    JOIN ledger.tx t ON t.correlation_id = m.id
        AND t.effective_at >= to_timestamp(0) + m.since_ms * INTERVAL '1 millisecond'
        AND t.effective_at < to_timestamp(0) + m.until_ms * INTERVAL '1 millisecond'
    ORDER BY t.batch_id, t.position
"""  # noqa: S608 - built of constants
_NAMES_LEG = """
    SELECT n.correlation_id, n.effective_at FROM unnest(%(ids)s::TEXT[]) AS w (id) CROSS JOIN LATERAL (
        SELECT t.correlation_id, t.effective_at FROM ledger.tx t
        WHERE ledger.leg_key(t.meta, {0}) = ledger.leg_key(w.id) AND t.meta -> '{1}' ->> 'id' = w.id
            AND t.template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
        OFFSET 0
    ) n
"""
# Nearly every leg is new, so the planner may not guess how many will be found: an index is looked into for each. All trades of
# a matter are effective in one second, that of its pairing key.
OF_LEGS = f"""
    WITH named AS ({_NAMES_LEG.format(1, "btc_leg")} UNION {_NAMES_LEG.format(2, "usd_leg")}),
    m AS (SELECT DISTINCT correlation_id, date_trunc('second', effective_at) AS since FROM named)
    SELECT {HEADER_COLUMNS.format("t")} FROM m JOIN ledger.tx t ON t.correlation_id = m.correlation_id
        AND t.effective_at >= m.since AND t.effective_at < m.since + INTERVAL '1 second'
    ORDER BY t.batch_id, t.position
"""  # noqa: S608 - built of constants
# And it may neither compile its plan, which takes ten times as long as to look, nor make it anew for every few legs, three times.
BY_INDEX = """
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET jit = off; SET plan_cache_mode = force_generic_plan
"""


# A person may book a trade that was rejected.
_BOOKED = """
    SELECT meta #>> '{btc_leg,id}', meta #>> '{usd_leg,id}', floor(extract(EPOCH FROM effective_at))::BIGINT
    FROM ledger.tx
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
    UNION ALL
    SELECT payload -> 'meta' -> 'btc_leg' ->> 'id', payload -> 'meta' -> 'usd_leg' ->> 'id',
        (payload ->> 'effective_at_ms')::BIGINT / 1000
    FROM ledger.reject
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
"""
_POSTED = """
    SELECT coalesce(sum(n), 0) FROM ledger.tally
    WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD', 'REVERT_USER_BUYS_USD', 'REVERT_USER_SELLS_USD')
"""
FETCH = 10_000
TRADES_MAX = 5_000_000
"""Of more trades the notes would be long to make at every start, and say of too many legs that they may be known."""


def read_booked(dsn: str) -> Iterator[list[BookedTrade]]:
    """Yield all user trades that were posted before now, or rejected."""
    with (
        connect(dsn, "reader", "booked legs") as connection,
        connection.transaction(),
        connection.cursor("booked") as cursor,
    ):
        cursor.execute(_BOOKED)
        while rows := cursor.fetchmany(FETCH):
            yield [BookedTrade((btc, usd), second) for btc, usd, second in rows]


def begin_with(booked: BookedLegs, dsn: str, trades_max: int = TRADES_MAX) -> None:
    """Note all that the ledger holds, whose writer has been taken: what comes from then on is noted by whoever posts it.

    Every leg is asked for if the ledger holds more than `trades_max`, or if the database goes away meanwhile.
    """
    with suppress(OperationalError):
        if _trades_posted(dsn) > trades_max:
            return
        for trades in read_booked(dsn):
            booked.begin(trades)
        booked.complete()


def _trades_posted(dsn: str) -> int:
    with connect(dsn, "reader", "booked legs") as connection:
        row = connection.execute(_POSTED).fetchone()
        return int(row[0]) if row else 0


def open_history(dsn: str) -> History:
    """Ask over a connection of its own."""
    connection = connect(dsn, "reader", "history")
    connection.execute(BY_INDEX)
    return History(lambda matters: read_matters(connection, matters), lambda ids: read_legs(connection, ids))


def read_matters(connection: Connection, matters: Sequence[Matter]) -> list[Transaction]:
    """Return the posted transactions of these matters, without their entries, oldest first."""
    columns = [list(column) for column in zip(*matters, strict=True)] or [[], [], []]
    return [header(*row) for row in connection.execute(_OF_MATTERS, columns)]


def read_legs(connection: Connection, leg_ids: Sequence[str]) -> list[Transaction]:
    """Return all bookings and reversals of every matter that one of these legs is in, without their entries, oldest first."""
    return [header(*row) for row in connection.execute(OF_LEGS, {"ids": list(leg_ids)})]
