"""What is read from the ledger's tables: reference data, balances, known ids, and the transactions of one matter."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import psycopg

from domain.accounts import Account
from domain.books import Books, Key, Known, Row, blank
from domain.journal import Outcome, Transaction, Verdict

Connection = psycopg.Connection[tuple[Any, ...]]

NO_HASH = bytes(32)
"""What the first batch of a shard follows."""

_ACCOUNTS = """
    SELECT account_id, code, normal_side, journal, currency, meaning, min_available, max_balance, status
    FROM ledger.account WHERE shard = %s ORDER BY account_id
"""
_CLOSED_UNTIL_MS = "SELECT (extract(EPOCH FROM max(closed_until)) * 1000)::BIGINT FROM ledger.closed_period"
_BALANCES = """
    SELECT a.code, b.currency, b.version, b.settled_debit, b.settled_credit, b.pending_debit, b.pending_credit,
        b.encumbered_debit, b.encumbered_credit
    FROM ledger.balance b JOIN ledger.account a USING (account_id) WHERE a.shard = %s
"""
_LAST_HASH = "SELECT hash FROM ledger.batch WHERE shard = %s ORDER BY batch_id DESC LIMIT 1"
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
_ORIGINALS = """
    SELECT t.tx_id::TEXT, r.tx_id IS NOT NULL
    FROM ledger.tx t
    LEFT JOIN ledger.resolution r ON r.cause_tx_id = t.tx_id AND r.relation = 'reversed'
    WHERE t.tx_id = ANY(%s::UUID[])
"""
_CORRELATED = """
    SELECT tx_id::TEXT, template, (extract(EPOCH FROM effective_at) * 1000)::BIGINT, correlation_id::TEXT, source,
        source_offset, meta, reverses::TEXT
    FROM ledger.tx WHERE correlation_id = ANY(%s::UUID[]) ORDER BY batch_id, position
"""


class Reference(NamedTuple):
    """What transactions are judged by besides balances."""

    accounts: dict[str, Account]
    closed_until_ms: int


def _int(value: Any) -> int | None:
    return None if value is None else int(value)


def read_reference(connection: Connection, shard: int) -> Reference:
    """Accounts of the shard with their limits and status, and until when periods are closed."""
    rows = connection.execute(_ACCOUNTS, (shard,)).fetchall()
    accounts = [Account._make((*row[:6], _int(row[6]), _int(row[7]), row[8])) for row in rows]
    closed = connection.execute(_CLOSED_UNTIL_MS).fetchone()
    return Reference({account.code: account for account in accounts}, (closed and closed[0]) or 0)


def read_rows(connection: Connection, shard: int, accounts: dict[str, Account]) -> dict[Key, Row]:
    """All balances of the shard as the rows of the books."""
    rows: dict[Key, Row] = {}
    for code, currency, *totals in connection.execute(_BALANCES, (shard,)):
        row = rows[code, currency] = blank(accounts[code])
        row[: len(totals)] = map(int, totals)
    return rows


def read_books(connection: Connection, shard: int) -> Books:
    reference = read_reference(connection, shard)
    rows = read_rows(connection, shard, reference.accounts)
    return Books(reference.accounts, rows, closed_until_ms=reference.closed_until_ms)


def read_last_hash(connection: Connection, shard: int) -> bytes:
    row = connection.execute(_LAST_HASH, (shard,)).fetchone()
    return bytes(row[0]) if row else NO_HASH


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


def read_originals(connection: Connection, ids: Sequence[str]) -> dict[str, bool]:
    """Those of the ids that were posted, and whether they already are reversed."""
    return dict(connection.execute(_ORIGINALS, (list(ids),)).fetchall()) if ids else {}


def read_correlated(connection: Connection, correlation_ids: Sequence[str]) -> list[Transaction]:
    """The posted transactions of these matters, without their entries, oldest first."""
    rows = connection.execute(_CORRELATED, (list(correlation_ids),)).fetchall()
    return [Transaction._make((*row[:3], (), *row[3:])) for row in rows]
