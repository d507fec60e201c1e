"""What is read from the ledger's tables: reference data, balances, known ids, and the transactions of one matter."""

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from domain.ledger.accounts import Account, Velocity
from domain.ledger.books import Books, Held, Key, Known, Origin, Row, Window, blank
from domain.ledger.journal import Cause, Group, Outcome, Relation, TakenBack, Transaction, Verdict
from sinks.postgres import Connection

NO_HASH = bytes(32)
"""What the first batch of a shard follows."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_ACCOUNTS = """
    SELECT a.account_id, a.code, a.normal_side, a.journal, a.currency, a.meaning, a.min_available, a.max_balance, a.status,
        p.code, a.shard, a.is_summary
    FROM ledger.account a LEFT JOIN ledger.account p ON p.account_id = a.parent_id
    WHERE a.shard = %(shard)s AND (%(codes)s::TEXT[] IS NULL OR a.code = ANY(%(codes)s)) ORDER BY a.account_id
"""
_VELOCITIES = """
    SELECT a.code, v.currency, v.window_seconds, v.amount_max
    FROM ledger.velocity_limit v JOIN ledger.account a USING (account_id)
    WHERE a.shard = %(shard)s AND (%(codes)s::TEXT[] IS NULL OR a.code = ANY(%(codes)s))
    ORDER BY a.code, v.currency, v.window_seconds
"""
_CLOSED_UNTIL_MS = "SELECT (extract(EPOCH FROM max(closed_until)) * 1000)::BIGINT FROM ledger.closed_period"
_BALANCES = """
    SELECT a.code, b.currency, b.version, b.settled_debit, b.settled_credit, b.pending_debit, b.pending_credit,
        b.encumbered_debit, b.encumbered_credit
    FROM ledger.balance b JOIN ledger.account a USING (account_id)
    WHERE a.shard = %(shard)s AND (%(codes)s::TEXT[] IS NULL OR a.code = ANY(%(codes)s))
"""
_REVISION = "SELECT reference_revision FROM ledger.writer WHERE shard = %s"
_LAST_HASH = "SELECT hash FROM ledger.batch WHERE shard = %s ORDER BY batch_id DESC LIMIT 1"
_HEAD = """
    SELECT w.fence, coalesce(b.batch_id, 0), b.hash FROM ledger.writer w
    LEFT JOIN LATERAL (
        SELECT n.batch_id, n.hash FROM ledger.batch n WHERE n.shard = w.shard ORDER BY n.batch_id DESC LIMIT 1
    ) b ON TRUE
    WHERE w.shard = %s
"""
_GREATEST_ID = """
    SELECT greatest(
        (SELECT tx_id FROM ledger.tx ORDER BY tx_id DESC LIMIT 1),
        (SELECT tx_id FROM ledger.reject ORDER BY tx_id DESC LIMIT 1)
    )::TEXT
"""
_KNOWN = """
    SELECT tx_id::TEXT, encode(body_hash, 'hex'), NULL, NULL, NULL, NULL::NUMERIC
    FROM ledger.tx WHERE tx_id = ANY(%(ids)s::UUID[])
    UNION ALL
    SELECT tx_id::TEXT, encode(body_hash, 'hex'), reason, account, currency, shortfall
    FROM ledger.reject WHERE tx_id = ANY(%(ids)s::UUID[])
"""
_CONFLICTS = """
    SELECT tx_id::TEXT, encode(body_hash, 'hex') FROM ledger.conflict WHERE tx_id = ANY(%s::UUID[])
    ORDER BY tx_id, body_hash
"""
_ORIGINS = """
    SELECT t.tx_id::TEXT, (extract(EPOCH FROM t.effective_at) * 1000)::BIGINT,
        (extract(EPOCH FROM t.expires_at) * 1000)::BIGINT,
        e.relation, coalesce(e.is_final, FALSE),
        EXISTS (SELECT FROM ledger.resolution r WHERE r.cause_tx_id = t.tx_id AND r.relation = 'reversed')
    FROM ledger.tx t LEFT JOIN LATERAL (
        SELECT r.relation, r.is_final FROM ledger.resolution r
        WHERE r.cause_tx_id = t.tx_id AND r.relation <> 'reversed' ORDER BY r.is_final DESC LIMIT 1
    ) e ON TRUE
    WHERE t.tx_id = ANY(%s::UUID[])
"""
_MOVED = """
    SELECT e.tx_id::TEXT, a.code, e.currency, sum(e.side * e.amount)
    FROM ledger.entry e JOIN ledger.account a USING (account_id)
    WHERE e.tx_id = ANY(%s::UUID[]) AND e.layer = 1 GROUP BY 1, 2, 3 HAVING sum(e.side * e.amount) <> 0
"""
_HELD = """
    SELECT s.hold_id::TEXT, a.code, e.currency, e.layer, e.side, sum(e.amount)
    FROM (
        SELECT t.tx_id AS hold_id, t.tx_id, TRUE AS is_hold
        FROM ledger.tx t WHERE t.tx_id = ANY(%(ids)s::UUID[]) AND t.relation IS NULL
        UNION ALL
        SELECT r.cause_tx_id, r.tx_id, FALSE
        FROM ledger.resolution r WHERE r.cause_tx_id = ANY(%(ids)s::UUID[]) AND r.relation <> 'reversed'
    ) s
    JOIN ledger.entry e ON e.tx_id = s.tx_id AND e.layer > 1
    JOIN ledger.account a USING (account_id)
    GROUP BY s.hold_id, a.code, e.currency, e.layer, e.side HAVING sum(e.amount) <> 0
    ORDER BY s.hold_id, min(e.leg) FILTER (WHERE s.is_hold)
"""
_USED = """
    SELECT a.code, u.currency, u.window_seconds, u.window_start, u.used
    FROM unnest(%s::TEXT[], %s::TEXT[], %s::INT[], %s::BIGINT[]) AS w (code, currency, window_seconds, window_start)
    JOIN ledger.account a ON a.code = w.code
    JOIN ledger.velocity_use u ON (u.account_id, u.currency, u.window_seconds, u.window_start)
        = (a.account_id, w.currency, w.window_seconds, w.window_start)
"""
HEADER_COLUMNS = """
    {0}.tx_id::TEXT, {0}.template, (extract(EPOCH FROM {0}.effective_at) * 1000)::BIGINT, {0}.correlation_id::TEXT,
    {0}.source, {0}.source_offset, {0}.meta, {0}.relation, {0}.cause_tx_id::TEXT, {0}.is_final,
    (extract(EPOCH FROM {0}.expires_at) * 1000)::BIGINT, {0}.group_id, {0}.group_size
"""
_OPEN_HOLDS = f"""
    SELECT {HEADER_COLUMNS.format("t")}
    FROM ledger.tx t JOIN ledger.batch b USING (batch_id)
    WHERE t.expires_at IS NOT NULL AND b.shard = %s
        AND NOT EXISTS (SELECT FROM ledger.resolution r WHERE r.cause_tx_id = t.tx_id AND r.is_final)
    ORDER BY t.expires_at, t.tx_id
"""  # noqa: S608 - built of constants
_TAKEN_BACK = f"""
    SELECT {HEADER_COLUMNS.format("r")}, {HEADER_COLUMNS.format("o")}
    FROM ledger.tx r JOIN ledger.batch b USING (batch_id) JOIN ledger.tx o ON o.tx_id = r.cause_tx_id
    WHERE r.source = 'console/reversals' AND r.batch_id > %s AND b.shard = %s
    ORDER BY r.batch_id, r.position
"""  # noqa: S608 - built of constants


class Head(NamedTuple):
    """Who may write to a shard, and the last batch of its chain; 0 and no hash when there is none."""

    fence: int
    batch_id: int
    hash: bytes


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def read_books(connection: Connection, shard: int, codes: Sequence[str] | None = None) -> Books:
    """The accounts of the shard with their limits and balances, all or those named, and until when periods are closed."""
    asked = {"shard": shard, "codes": codes}
    velocities: dict[str, list[Velocity]] = {}
    for code, currency, window_seconds, amount_max in connection.execute(_VELOCITIES, asked):
        velocities.setdefault(code, []).append(Velocity(currency, window_seconds, int(amount_max)))
    accounts: dict[str, Account] = {}
    summaries: set[str] = set()
    for *row, is_summary in connection.execute(_ACCOUNTS, asked):
        code = row[1]
        row[6:8] = map(_int, row[6:8])
        accounts[code] = Account._make((*row, tuple(velocities.get(code, ()))))
        if is_summary:
            summaries.add(code)
    closed = connection.execute(_CLOSED_UNTIL_MS).fetchone()
    closed_until_ms = (closed and closed[0]) or 0
    rows = _read_rows(connection, asked, accounts)
    return Books(accounts, rows, closed_until_ms=closed_until_ms, summaries=frozenset(summaries))


def _read_rows(connection: Connection, asked: dict[str, Any], accounts: dict[str, Account]) -> dict[Key, Row]:
    rows: dict[Key, Row] = {}
    for code, currency, *totals in connection.execute(_BALANCES, asked):
        row = rows[code, currency] = blank(accounts[code])
        row[: len(totals)] = map(int, totals)
    return rows


def read_last_hash(connection: Connection, shard: int) -> bytes:
    row = connection.execute(_LAST_HASH, (shard,)).fetchone()
    return bytes(row[0]) if row else NO_HASH


def read_head(connection: Connection, shard: int) -> Head:
    fence, batch_id, last_hash = connection.execute(_HEAD, (shard,)).fetchone() or (0, 0, None)
    return Head(fence, batch_id, bytes(last_hash) if last_hash is not None else NO_HASH)


def read_revision(connection: Connection, shard: int) -> int:
    """How often accounts, limits and periods have changed."""
    row = connection.execute(_REVISION, (shard,)).fetchone()
    return int(row[0]) if row else 0


def read_greatest_id(connection: Connection) -> str | None:
    """The greatest id that was posted or rejected."""
    row = connection.execute(_GREATEST_ID).fetchone()
    return row[0] if row else None


def read_known(connection: Connection, ids: Sequence[str]) -> dict[str, Known]:
    """Those of the ids that were posted or rejected, with all bodies that came for them."""
    if not ids:
        return {}
    known = {row[0]: Known(row[1], _rejection(row)) for row in connection.execute(_KNOWN, {"ids": list(ids)})}
    for id_, body in connection.execute(_CONFLICTS, (list(known),)) if known else ():
        known[id_] = known[id_]._replace(conflicts=(*known[id_].conflicts, body))
    return known


def _rejection(row: tuple[Any, ...]) -> Verdict | None:
    id_, _, reason, account, currency, shortfall = row
    return reason and Verdict(id_, Outcome.REJECTED, reason, account, currency, _int(shortfall))


def read_origins(connection: Connection, ids: Collection[str]) -> dict[str, Origin]:
    """Those of the ids that were posted, as what they are to transactions that name them."""
    wanted = [id_ for id_ in ids if _UUID.fullmatch(id_)]
    if not wanted:
        return {}
    moved: dict[str, dict[Key, int]] = {}
    for id_, account, currency, net in connection.execute(_MOVED, (wanted,)):
        moved.setdefault(id_, {})[account, currency] = int(net)
    held: dict[str, dict[Held, int]] = {}
    for id_, *key, amount in connection.execute(_HELD, {"ids": wanted}):
        held.setdefault(id_, {})[key[0], key[1], key[2], key[3]] = int(amount)
    return {
        id_: Origin(
            at_ms,
            expires_at_ms,
            moved.get(id_, {}),
            left := held.get(id_, {}),
            became if is_final or not left else None,
            is_reversed,
        )
        for id_, at_ms, expires_at_ms, became, is_final, is_reversed in connection.execute(_ORIGINS, (wanted,))
    }


def read_used(connection: Connection, windows: Collection[Window]) -> dict[Window, int]:
    """What was used of these windows of velocity limits."""
    if not windows:
        return {}
    columns = [list(column) for column in zip(*sorted(windows), strict=True)]
    return {(row[0], row[1], row[2], row[3]): int(row[4]) for row in connection.execute(_USED, columns)}


def read_open_holds(connection: Connection, shard: int) -> list[Transaction]:
    """The holds of a shard that will expire if nothing ends them before, without their entries."""
    return [header(*row) for row in connection.execute(_OPEN_HOLDS, (shard,))]


def read_taken_back(connection: Connection, shard: int, after_batch_id: int) -> list[TakenBack]:
    """What people have taken back in the batches after this one, oldest first."""
    rows = connection.execute(_TAKEN_BACK, (after_batch_id, shard))
    return [TakenBack(header(*row[:13]), header(*row[13:])) for row in rows]


def header(*row: Any) -> Transaction:
    """The transaction of `HEADER_COLUMNS`, without its entries."""
    relation, cause_tx_id, is_final, expires_at_ms, group_id, group_size = row[7:]
    cause = Cause(Relation(relation), cause_tx_id, is_final) if relation else None
    group = Group(group_id, group_size) if group_id is not None else None
    return Transaction._make((*row[:3], (), *row[3:7], cause, expires_at_ms, group))
