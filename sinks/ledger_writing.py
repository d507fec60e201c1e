"""Writing one folded batch, inside one database transaction.

The order is chosen for cheap failure: the batch first, which a fenced writer may not begin; then the balances, whose
versions show whether anyone else has written; then the rows, which the database judges by the statement.
"""

from collections.abc import Sequence
from json import dumps
from typing import Any, NamedTuple

import psycopg

from domain.books import VERSION, Books, Key, Row
from domain.errors import FencedError
from domain.fold import Folded
from domain.journal import Transaction
from sinks.ledger_reading import Connection
from sinks.ledger_rows import (
    CONFLICT_COLUMNS,
    ENTRY_COLUMNS,
    REJECT_COLUMNS,
    TX_COLUMNS,
    Rendered,
    with_batch,
)

_BATCH = """
    INSERT INTO ledger.batch (
        shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, hash
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING batch_id
"""
_TOTALS = (
    "version",
    "settled_debit",
    "settled_credit",
    "pending_debit",
    "pending_credit",
    "encumbered_debit",
    "encumbered_credit",
)
_ROWS = "unnest(%s::INT[], %s::TEXT[], %s::BIGINT[]" + ", %s::NUMERIC[]" * len(_TOTALS) + ")"
_OPEN = f"""
    INSERT INTO ledger.balance (account_id, currency, {", ".join(_TOTALS)}, last_batch_id, normal_side)
    SELECT u.account_id, u.currency, {", ".join(f"u.{name}" for name in _TOTALS)}, %s, 1
    FROM {_ROWS} AS u (account_id, currency, expected, {", ".join(_TOTALS)})
"""  # noqa: S608 - built of constants; the normal side is set by the database
_UPDATE = f"""
    UPDATE ledger.balance b SET last_batch_id = %s, {", ".join(f"{name} = u.{name}" for name in _TOTALS)}
    FROM {_ROWS} AS u (account_id, currency, expected, {", ".join(_TOTALS)})
    WHERE b.account_id = u.account_id AND b.currency = u.currency AND b.version = u.expected
"""  # noqa: S608 - built of constants


class Batch(NamedTuple):
    """What is to be written, and by whom."""

    shard: int
    fence: int
    transactions: Sequence[Transaction]
    folded: Folded
    rendered: Rendered


def write_batch(connection: Connection, batch: Batch, books: Books) -> None:
    """Write it all on top of `books`. Raises `FencedError` if the balances are not what the books say."""
    shard, fence, transactions, folded, rendered = batch
    source = dumps(_sources(transactions))
    facts = (shard, fence, *_counts(transactions, folded), source, rendered.previous_hash, rendered.hash)
    with connection.cursor() as cursor:
        batch_id = _one(cursor.execute(_BATCH, facts))
        _write_balances(cursor, batch_id, books, folded.rows)
        _copy(cursor, f"ledger.tx ({TX_COLUMNS})", with_batch(rendered.headers, batch_id), folded.posted)
        _copy(cursor, f"ledger.entry ({ENTRY_COLUMNS})", rendered.entries, folded.entries)
        _copy(cursor, f"ledger.reject ({REJECT_COLUMNS})", with_batch(rendered.rejects, batch_id), folded.rejected)
        _copy(cursor, f"ledger.conflict ({CONFLICT_COLUMNS})", with_batch(rendered.conflicts, batch_id), folded.conflicts)


def _one(cursor: psycopg.Cursor[tuple[Any, ...]]) -> int:
    row = cursor.fetchone()
    return int(row[0]) if row else 0


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


def _write_balances(cursor: psycopg.Cursor[tuple[Any, ...]], batch_id: int, books: Books, rows: dict[Key, Row]) -> None:
    changed = sorted(rows)
    known = [key for key in changed if key in books.rows]
    opened = [key for key in changed if key not in books.rows]
    for statement, keys in ((_UPDATE, known), (_OPEN, opened)):
        if keys and cursor.execute(statement, (batch_id, *_columns(books, rows, keys))).rowcount != len(keys):
            msg = "another writer has changed the balances of this ledger; this one has to stop"
            raise FencedError(msg)


def _columns(books: Books, rows: dict[Key, Row], keys: list[Key]) -> list[str]:
    """The rows as one array per column, written as the database reads them."""
    written = [rows[key] for key in keys]
    expected = [books.rows[key][VERSION] if key in books.rows else 0 for key in keys]
    columns: list[list[Any]] = [[row[7] for row in written], [currency for _, currency in keys], expected]
    columns += [[row[index] for row in written] for index in range(len(_TOTALS))]
    return ["{" + ",".join(map(str, column)) + "}" for column in columns]


def _copy(cursor: psycopg.Cursor[tuple[Any, ...]], target: str, text: bytes, rows: Sequence[object]) -> None:
    if not rows:
        return
    with cursor.copy(f"COPY {target} FROM STDIN".encode()) as copy:
        copy.write(text)
