"""Writing a small batch: everything in one statement, where a statement for each table would cost more than its rows.

The rows come as arrays, one per column, made of the same text that COPY takes, and meet the same guards: what a statement has
written is judged when it ends, table by table, in the order of its parts. The balances wait for the batch, whose number they
name, and the entries for the headers. Headers come only if all balances were the expected ones: else the guards would have the
first word on it, and the writer would not learn that somebody else has written.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from sinks.ledger.rows import (
    BALANCE_COLUMNS,
    CONFLICT_COLUMNS,
    ENTRY_COLUMNS,
    REJECT_COLUMNS,
    TX_COLUMNS,
    Columns,
    Rendered,
)
from sinks.postgres import Connection

TRANSACTIONS_MAX = 20
"""Up to so many one statement is cheaper; beyond, COPY reads a row faster than arrays can be made of it."""

INSERT_BATCH = """
    INSERT INTO ledger.batch (
        shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, content_hash
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) RETURNING batch_id, hash
"""
BALANCE_ROWS = "unnest(%s::INT[], %s::TEXT[], %s::BIGINT[]" + ", %s::NUMERIC[]" * len(BALANCE_COLUMNS) + ")"
_BATCH = f"batch AS ({INSERT_BATCH})"
_NAMES = ", ".join(BALANCE_COLUMNS)
_UPDATED = f"""
    updated AS (
        UPDATE ledger.balance b
        SET last_batch_id = (SELECT n.batch_id FROM batch n), {", ".join(f"{name} = u.{name}" for name in BALANCE_COLUMNS)}
        FROM {BALANCE_ROWS} AS u (account_id, currency, expected, {_NAMES})
        WHERE b.account_id = u.account_id AND b.currency = u.currency AND b.version = u.expected
        RETURNING 1
    )
"""  # noqa: S608 - built of constants
_DUE = "due AS (SELECT n.batch_id FROM batch n)"
_DUE_IF_UPDATED = "due AS (SELECT n.batch_id FROM batch n WHERE (SELECT count(*) FROM updated) = %s)"
_OPENED = f"""
    opened AS (
        INSERT INTO ledger.balance (account_id, currency, {_NAMES}, last_batch_id, normal_side)
        SELECT u.account_id, u.currency, {", ".join(f"u.{name}" for name in BALANCE_COLUMNS)}, n.batch_id, 1
        FROM batch n CROSS JOIN {BALANCE_ROWS} AS u (account_id, currency, expected, {_NAMES})
        RETURNING 1
    )
"""  # noqa: S608 - built of constants; the normal side is set by the database
_TYPES = {
    "effective_at": "TIMESTAMPTZ",
    "expires_at": "TIMESTAMPTZ",
    "position": "INT",
    "account_id": "INT",
    "n_entries": "SMALLINT",
    "n_added": "SMALLINT",
    "group_size": "SMALLINT",
    "leg": "SMALLINT",
    "layer": "SMALLINT",
    "side": "SMALLINT",
    "version": "BIGINT",
    "source_offset": "BIGINT",
    "is_final": "BOOLEAN",
    "amount": "NUMERIC",
    "balance_after": "NUMERIC",
    "shortfall": "NUMERIC",
    "tx_id": "UUID",
    "correlation_id": "UUID",
    "cause_tx_id": "UUID",
    "body_hash": "BYTEA",
    "meta": "JSON",
    "payload": "JSON",
}


def _rows(part: str, table: str, columns: str) -> str:
    """Insert rows that name the batch as their last column."""
    names = columns.removesuffix(", batch_id")
    return f"""
    {part} AS (
        INSERT INTO {table} ({columns}) SELECT u.*, n.batch_id FROM due n CROSS JOIN {_unnested(names)} RETURNING 1
    )
"""  # noqa: S608 - built of constants


def _unnested(names: str) -> str:
    types = ", ".join([f"%s::{_TYPES.get(name, 'TEXT')}[]" for name in names.split(", ")])
    return f"unnest({types}) AS u ({names})"


_HEADERS = _rows("headers", "ledger.tx", TX_COLUMNS)
_ENTRIES = f"""
    entries AS (
        INSERT INTO ledger.entry ({ENTRY_COLUMNS})
        SELECT u.* FROM {_unnested(ENTRY_COLUMNS)} WHERE (SELECT count(*) FROM headers) > 0
        RETURNING 1
    )
"""  # noqa: S608 - built of constants
_REJECTS = _rows("rejects", "ledger.reject", REJECT_COLUMNS)
_CONFLICTS = _rows("conflicts", "ledger.conflict", CONFLICT_COLUMNS)

_ODD = re.compile(r'[{}"\\\s]|NULL', re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"t": "\t", "n": "\n", "r": "\r", "\\": r"\\"}


_COUNTED = ((_UPDATED, "(SELECT count(*) FROM updated)"), (_OPENED, "(SELECT count(*) FROM opened)"))


class Written(NamedTuple):
    """The batch as the database has linked it, and how many balances it has moved and opened."""

    batch_id: int
    hash: bytes
    updated: int
    opened: int


def write_small(connection: Connection, facts: Sequence[object], rendered: Rendered) -> Written:
    """Write the batch of these facts, in the columns of `ledger.batch`, with all of its rows."""
    parts, values = [_BATCH], list(facts)
    for part, columns in _parts(rendered):
        if columns or part == _DUE:
            parts.append(part)
            values += columns
    counts = [count if part in parts else "0" for part, count in _COUNTED]
    statement = f"WITH {', '.join(parts)} SELECT b.batch_id, b.hash, {', '.join(counts)} FROM batch b"  # noqa: S608
    batch_id, linked, updated, opened = connection.execute(statement.encode(), values).fetchone() or (0, b"", 0, 0)
    return Written(batch_id, bytes(linked), updated, opened)


def _parts(rendered: Rendered) -> list[tuple[str, Columns]]:
    entries = rendered.entries.decode()[:-1].split("\n") if rendered.entries else []
    due = (_DUE_IF_UPDATED, [str(rendered.updated[0].count(",") + 1)]) if rendered.updated else (_DUE, [])
    return [
        (_UPDATED, rendered.updated),
        due,
        (_OPENED, rendered.opened),
        (_HEADERS, _columns(rendered.headers)),
        (_ENTRIES, _columns(entries)),
        (_REJECTS, _columns(rendered.rejects)),
        (_CONFLICTS, _columns(rendered.conflicts)),
    ]


def _columns(lines: Sequence[str]) -> Columns:
    """The lines of COPY as an array for each column."""
    return [_array(column) for column in zip(*[line.split("\t") for line in lines], strict=True)]


def _array(cells: Sequence[str]) -> str:
    text = ",".join(cells)
    if text.count(",") >= len(cells) or _ODD.search(text) or "" in cells:
        text = ",".join([_quoted(cell) for cell in cells])
    return "{" + text + "}"


def _quoted(cell: str) -> str:
    if cell == r"\N":
        return "NULL"
    if "\\" in cell:
        cell = _ESCAPED.sub(lambda escaped: _MEANT[escaped[1]], cell)
    return '"' + cell.replace('"', r"\"") + '"'
