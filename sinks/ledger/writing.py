"""Writing one folded batch, inside one database transaction.

The order is chosen for cheap failure: the batch first, which a fenced writer may not begin; then the balances, whose
versions show whether anyone else has written; then the rows, which the database judges by the statement.
"""

from collections.abc import Mapping, Sequence
from json import dumps
from typing import Any, NamedTuple

import psycopg

from domain.errors import FencedError
from domain.ledger.books import Key, Row
from domain.ledger.journal import Transaction
from domain.ledger.judge import Folded
from sinks.ledger.rows import (
    BALANCE_COLUMNS,
    CONFLICT_COLUMNS,
    ENTRY_COLUMNS,
    REJECT_COLUMNS,
    TX_COLUMNS,
    Columns,
    Rendered,
    with_batch,
)
from sinks.ledger.small import BALANCE_ROWS, INSERT_BATCH, TRANSACTIONS_MAX, write_small
from sinks.postgres import Connection

_OPEN = f"""
    INSERT INTO ledger.balance (account_id, currency, {", ".join(BALANCE_COLUMNS)}, last_batch_id, normal_side)
    SELECT u.account_id, u.currency, {", ".join(f"u.{name}" for name in BALANCE_COLUMNS)}, %s, 1
    FROM {BALANCE_ROWS} AS u (account_id, currency, expected, {", ".join(BALANCE_COLUMNS)})
"""  # noqa: S608 - built of constants; the normal side is set by the database
_UPDATE = f"""
    UPDATE ledger.balance b SET last_batch_id = %s, {", ".join(f"{name} = u.{name}" for name in BALANCE_COLUMNS)}
    FROM {BALANCE_ROWS} AS u (account_id, currency, expected, {", ".join(BALANCE_COLUMNS)})
    WHERE b.account_id = u.account_id AND b.currency = u.currency AND b.version = u.expected
"""  # noqa: S608 - built of constants


class Link(NamedTuple):
    """A batch of the chain, as the next one follows it."""

    batch_id: int
    hash: bytes


class Prepared(NamedTuple):
    """A batch that was folded and rendered, and is still to be written; `seconds` is what that took.

    `rows` are those to report, as the batch leaves them: later batches make rows of their own.
    """

    transactions: Sequence[Transaction]
    folded: Folded
    rendered: Rendered
    rows: Mapping[Key, Row]
    seconds: float = 0.0


def write_batch(connection: Connection, shard: int, fence: int, batch: Prepared, last_hash: bytes) -> Link:
    """Write it all after the batch with this hash, in the transaction that is open, and return what to go on from.

    Raises `FencedError` if the balances are no longer those that the batch was folded on.
    """
    transactions, folded, rendered, _, _ = batch
    source = dumps(_sources(transactions))
    facts = (shard, fence, *_counts(transactions, folded), source, last_hash, rendered.content_hash)
    if len(transactions) <= TRANSACTIONS_MAX:
        written = write_small(connection, facts, rendered)
        _check(written.updated, rendered.updated)
        return Link(written.batch_id, written.hash)
    with connection.cursor() as cursor:
        batch_id, linked = cursor.execute(INSERT_BATCH, facts).fetchone() or (0, b"")
        _write_balances(cursor, _UPDATE, batch_id, rendered.updated)
        _write_balances(cursor, _OPEN, batch_id, rendered.opened)
        _copy(cursor, f"ledger.tx ({TX_COLUMNS})", rendered.headers, batch_id)
        _copy(cursor, f"ledger.entry ({ENTRY_COLUMNS})", rendered.entries, None)
        _copy(cursor, f"ledger.reject ({REJECT_COLUMNS})", rendered.rejects, batch_id)
        _copy(cursor, f"ledger.conflict ({CONFLICT_COLUMNS})", rendered.conflicts, batch_id)
    return Link(batch_id, bytes(linked))


def _counts(transactions: Sequence[Transaction], folded: Folded) -> tuple[int, ...]:
    posted, conflicts, rejected = len(folded.posted), len(folded.conflicts), len(folded.rejected)
    repeats = len(transactions) - posted - conflicts - rejected
    return (posted, len(folded.entries), repeats, conflicts, rejected)


def _sources(transactions: Sequence[Transaction]) -> dict[str, list[int]]:
    """First and last offset of each source."""
    offsets: dict[str, list[int]] = {}
    for transaction in transactions:
        offset = transaction.source_offset
        span = offsets.setdefault(transaction.source, [offset, offset])
        if offset < span[0]:
            span[0] = offset
        elif offset > span[1]:
            span[1] = offset
    return dict(sorted(offsets.items()))


def _write_balances(cursor: psycopg.Cursor[tuple[Any, ...]], statement: str, batch_id: int, columns: Columns) -> None:
    if not columns:
        return
    _check(cursor.execute(statement, (batch_id, *columns)).rowcount, columns)


def _check(written: int, columns: Columns) -> None:
    """Refuse to go on if other balances were written than these."""
    if columns and written != columns[0].count(",") + 1:
        msg = "another writer has changed the balances of this ledger; this one has to stop"
        raise FencedError(msg)


def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], target: str, rows: bytes | list[str], batch_id: int | None) -> None:
    if not rows:
        return
    with cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
        copy.write(rows if isinstance(rows, bytes) else with_batch(rows, batch_id or 0))
