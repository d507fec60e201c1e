"""What is read from the ledger's tables: reference data, balances, known ids, and the transactions of one matter."""

import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from domain.ledger.accounts import Account, Velocity
from domain.ledger.books import ACCOUNT_ID, Books, Held, Key, Known, Origin, Window, blank
from domain.ledger.journal import Cause, Group, Outcome, Relation, TakenBack, Transaction, Verdict
from sinks.postgres import Connection

NO_HASH = bytes(32)
"""What the first batch of a shard follows."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_ACCOUNTS = """
    SELECT a.account_id, a.code, a.normal_side, a.journal, a.currency, a.meaning, a.min_available, a.max_balance, a.status,
        p.code, a.shard, a.is_summary,
        (
            SELECT json_agg(json_build_array(v.currency, v.window_seconds, v.amount_max) ORDER BY v.currency, v.window_seconds)
            FROM ledger.velocity_limit v WHERE v.account_id = a.account_id
        ),
        b.currency, b.version, b.settled_debit, b.settled_credit, b.pending_debit, b.pending_credit, b.encumbered_debit,
        b.encumbered_credit
    FROM ledger.account a
    LEFT JOIN ledger.account p ON p.account_id = a.parent_id
    LEFT JOIN ledger.balance b ON b.account_id = a.account_id
    WHERE a.shard = %s
"""
_ACCOUNTS_NAMED = _ACCOUNTS + " AND a.code = ANY(%s::TEXT[])"
_STATE = """
    SELECT w.fence, w.reference_revision, coalesce(b.batch_id, 0), b.hash,
        (SELECT coalesce((extract(EPOCH FROM max(p.closed_until)) * 1000)::BIGINT, 0) FROM ledger.closed_period p),
        greatest(
            (SELECT t.tx_id FROM ledger.tx t ORDER BY t.tx_id DESC LIMIT 1),
            (SELECT r.tx_id FROM ledger.reject r ORDER BY r.tx_id DESC LIMIT 1)
        )::TEXT
    FROM ledger.writer w
    LEFT JOIN LATERAL (
        SELECT n.batch_id, n.hash FROM ledger.batch n WHERE n.shard = w.shard ORDER BY n.batch_id DESC LIMIT 1
    ) b ON TRUE
    WHERE w.shard = %s
"""
_CHANGED = """
    SELECT DISTINCT a.code, c.currency
    FROM ledger.batch b
    CROSS JOIN LATERAL (
        SELECT e.account_id, e.currency
        FROM ledger.tx t JOIN ledger.entry e USING (tx_id) WHERE t.batch_id = b.batch_id OFFSET 0
    ) c
    JOIN ledger.account a ON a.account_id = c.account_id
    WHERE b.shard = %s AND b.batch_id > %s
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
    {0}.source, {0}.source_offset, {0}.meta::TEXT, {0}.relation, {0}.cause_tx_id::TEXT, {0}.is_final,
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


class State(NamedTuple):
    """Where a shard stands: who may write to it, how often accounts, limits and periods have changed, the last batch of its
    chain (0 and no hash when there is none), until when periods are closed, and the greatest id that was ever answered."""

    fence: int
    revision: int
    batch_id: int
    hash: bytes
    closed_until_ms: int
    greatest_id: str | None


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def read_books(connection: Connection, shard: int, codes: Sequence[str] | None = None) -> Books:
    """The accounts of the shard with their limits and all of their balances: every one, or those named."""
    books = Books({}, {}, summaries=set())
    query, asked = (_ACCOUNTS, (shard,)) if codes is None else (_ACCOUNTS_NAMED, (shard, list(codes)))
    for row in connection.execute(query, asked):
        _add(books, row)
    return books


def _add(books: Books, row: tuple[Any, ...]) -> None:
    """Add an account, and a balance of it if it has one."""
    code = row[1]
    account = books.accounts.get(code)
    if account is None:
        velocities = tuple([Velocity(*velocity) for velocity in row[12] or ()])
        account = Account._make((*row[:6], _int(row[6]), _int(row[7]), *row[8:11], velocities))
        books.accounts[code] = account
        if row[11]:
            books.summaries.add(code)
    if row[13] is not None:
        books.rows[code, row[13]] = [*map(int, row[14:]), *blank(account)[ACCOUNT_ID:]]


def read_state(connection: Connection, shard: int) -> State:
    """Where the shard stands; one that never had a writer stands at nothing."""
    row = connection.execute(_STATE, (shard,)).fetchone() or (0, 0, 0, None, 0, None)
    return State._make((*row[:3], NO_HASH if row[3] is None else bytes(row[3]), *row[4:]))


def read_changed(connection: Connection, shard: int, after_batch_id: int) -> set[Key]:
    """The balances that the batches of the shard after this one have changed."""
    return {(code, currency) for code, currency in connection.execute(_CHANGED, (shard, after_batch_id))}


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
