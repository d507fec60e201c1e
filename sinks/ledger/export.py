"""The ledger as CSV, as it stands at one moment: to files, or a range of batches at a time for whoever verifies it.

Both read the same columns in the same order (`domain/proof/rows.py`), so a ledger that is verified from its database and
one that is verified from a folder are judged by the same code.
"""

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import LiteralString, NamedTuple

from psycopg import sql

from domain.proof.rows import (
    ACCOUNT_COLUMNS,
    BALANCE_COLUMNS,
    BATCH_COLUMNS,
    CHANGE_COLUMNS,
    CONFLICT_COLUMNS,
    ENTRY_COLUMNS,
    HEADER_COLUMNS,
    NULL,
    PERIOD_COLUMNS,
    REJECT_COLUMNS,
    RESOLUTION_COLUMNS,
    SUM_COLUMNS,
)
from sinks.postgres import Connection

CHUNK_ROWS = 100_000
"""How many rows are read at a time, as near as whole batches come to it."""

BATCH_ID_MAX = 2**63 - 1


class Table(NamedTuple):
    """One table of an export: its file, its columns, and the query that gives them for batches from one to another."""

    file: str
    columns: tuple[str, ...]
    query: LiteralString


ACCOUNTS = Table(
    "account.csv",
    ACCOUNT_COLUMNS,
    """
    SELECT account_id, code, journal, normal_side, currency, status, min_available, max_balance, shard, parent_id,
        is_summary::TEXT, meaning, (extract(EPOCH FROM opened_at) * 1000000)::BIGINT AS opened_at_us
    FROM ledger.account ORDER BY account_id
    """,
)
CHANGES = Table(
    "account_change.csv",
    CHANGE_COLUMNS,
    """
    SELECT revision, facts, (extract(EPOCH FROM changed_at) * 1000000)::BIGINT AS changed_at_us, changed_by,
        encode(hash, 'hex') AS hash
    FROM ledger.account_change ORDER BY revision
    """,
)
BATCHES = Table(
    "batch.csv",
    BATCH_COLUMNS,
    """
    SELECT batch_id, shard, fence, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source,
        (extract(EPOCH FROM recorded_at) * 1000000)::BIGINT AS recorded_at_us, encode(accounts_hash, 'hex') AS accounts_hash,
        encode(prev_hash, 'hex') AS prev_hash, encode(content_hash, 'hex') AS content_hash, encode(hash, 'hex') AS hash
    FROM ledger.batch WHERE batch_id BETWEEN {first} AND {last} ORDER BY batch_id
    """,
)
# What is not a whole millisecond was not written by a ledger, and has to be seen.
HEADERS = Table(
    "tx.csv",
    HEADER_COLUMNS,
    """
    SELECT batch_id, position, tx_id, template, trim_scale(extract(EPOCH FROM effective_at) * 1000) AS effective_at_ms,
        n_entries, n_added, correlation_id, relation, cause_tx_id, is_final,
        trim_scale(extract(EPOCH FROM expires_at) * 1000) AS expires_at_ms, group_id, group_size, source, source_offset,
        encode(body_hash, 'hex') AS body_hash, meta
    FROM ledger.tx WHERE batch_id BETWEEN {first} AND {last} ORDER BY batch_id, position
    """,
)
# An entry of a transaction that is not there is of no batch, and stands before the first.
ENTRIES = Table(
    "entry.csv",
    ENTRY_COLUMNS,
    """
    SELECT batch_id, tx_id, version, account_id, leg, layer, side, currency, amount, balance_after FROM (
        SELECT t.batch_id, t.position, e.* FROM ledger.tx t JOIN ledger.entry e USING (tx_id)
        WHERE t.batch_id BETWEEN {first} AND {last}
        UNION ALL
        SELECT 0, 0, e.* FROM ledger.entry e
        WHERE {first} = 0 AND NOT EXISTS (SELECT FROM ledger.tx t WHERE t.tx_id = e.tx_id)
    ) every_entry ORDER BY batch_id, position, tx_id, leg
    """,
)
REJECTS = Table(
    "reject.csv",
    REJECT_COLUMNS,
    """
    SELECT batch_id, position, tx_id, reason, account, currency, shortfall, template, source, source_offset,
        encode(body_hash, 'hex') AS body_hash, payload
    FROM ledger.reject WHERE batch_id BETWEEN {first} AND {last} ORDER BY batch_id, position
    """,
)
CONFLICTS = Table(
    "conflict.csv",
    CONFLICT_COLUMNS,
    """
    SELECT batch_id, tx_id, encode(body_hash, 'hex') AS body_hash, template, source, source_offset, payload
    FROM ledger.conflict WHERE batch_id BETWEEN {first} AND {last} ORDER BY batch_id, tx_id, body_hash
    """,
)
SUMS = Table(
    "effective_delta.csv",
    SUM_COLUMNS,
    """
    SELECT batch_id, account_id, currency, layer, to_char(effective_date, 'YYYY-MM-DD') AS effective_date, delta
    FROM ledger.effective_delta
    WHERE batch_id BETWEEN {first} AND {last} ORDER BY batch_id, account_id, currency, layer, effective_date
    """,
)
# What was resolved by a transaction that is not there is of no batch, and stands before the first.
RESOLUTIONS = Table(
    "resolution.csv",
    RESOLUTION_COLUMNS,
    """
    SELECT t.batch_id, r.tx_id, r.cause_tx_id, r.relation, r.is_final
    FROM ledger.tx t JOIN ledger.resolution r USING (tx_id) WHERE t.batch_id BETWEEN {first} AND {last}
    UNION ALL
    SELECT 0, r.tx_id, r.cause_tx_id, r.relation, r.is_final FROM ledger.resolution r
    WHERE {first} = 0 AND NOT EXISTS (SELECT FROM ledger.tx t WHERE t.tx_id = r.tx_id)
    ORDER BY batch_id, tx_id, cause_tx_id
    """,
)
BALANCES = Table(
    "balance.csv",
    BALANCE_COLUMNS,
    """
    SELECT account_id, currency, version, settled_debit, settled_credit, pending_debit, pending_credit,
        encumbered_debit, encumbered_credit
    FROM ledger.balance ORDER BY account_id, currency
    """,
)
PERIODS = Table(
    "closed_period.csv",
    PERIOD_COLUMNS,
    """
    SELECT (extract(EPOCH FROM closed_until) * 1000000)::BIGINT AS closed_until_us,
        (extract(EPOCH FROM closed_at) * 1000000)::BIGINT AS closed_at_us, closed_by, manifest
    FROM ledger.closed_period ORDER BY closed_until
    """,
)
TABLES = (ACCOUNTS, CHANGES, BATCHES, HEADERS, ENTRIES, REJECTS, CONFLICTS, SUMS, RESOLUTIONS, BALANCES, PERIODS)

_RANGES = """
    SELECT min(batch_id), max(batch_id) FROM (
        SELECT batch_id, (sum(1 + n_tx + n_entries + n_rejected) OVER (ORDER BY batch_id)) / %s AS chunk FROM ledger.batch
    ) c GROUP BY trunc(chunk) ORDER BY trunc(chunk)
"""


@contextmanager
def snapshot(connection: Connection) -> Iterator[None]:
    """One moment of the ledger, however long the block takes to read it; nothing can be written in it."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        connection.execute("SET LOCAL statement_timeout = 0")
        yield


def ranges(connection: Connection, rows: int = CHUNK_ROWS) -> list[tuple[int, int]]:
    """First and last batch of ranges that together have every number there can be, rows without a batch included."""
    # A plan that reads a whole table for each range would be the wrong one.
    connection.execute("SET LOCAL enable_hashjoin = off")
    connection.execute("SET LOCAL enable_mergejoin = off")
    found = connection.execute(_RANGES, (rows,)).fetchall()
    starts = [0, *(last + 1 for _, last in found[:-1])]
    ends = [*(last for _, last in found[:-1]), BATCH_ID_MAX]
    return list(zip(starts, ends, strict=True))


def cells(connection: Connection, table: Table, first: int = 0, last: int = BATCH_ID_MAX) -> list[list[str]]:
    """The rows of a table for these batches, as text."""
    with connection.cursor().copy(copied(table, first, last, has_names=False)) as copy:
        text = b"".join(bytes(block) for block in copy).decode()
    return list(csv.reader(StringIO(text, newline="")))


def export(connection: Connection, folder: Path) -> dict[str, int]:
    """Write every table to a file in the folder; gives the number of bytes of each. OSError if that cannot be done."""
    folder.mkdir(parents=True, exist_ok=True)
    with snapshot(connection):
        return {table.file: _export(connection, table, folder / table.file) for table in TABLES}


def _export(connection: Connection, table: Table, path: Path) -> int:
    with path.open("wb") as file, connection.cursor().copy(copied(table, has_names=True)) as copy:
        return sum(file.write(block) for block in copy)


def copied(table: Table, first: int = 0, last: int = BATCH_ID_MAX, *, has_names: bool) -> sql.Composed:
    """Return the statement that copies the rows of a table for these batches to whoever reads."""
    return _copied(sql.SQL(table.query).format(first=sql.Literal(first), last=sql.Literal(last)), has_names=has_names)


def copied_of(table: Table, batches: Sequence[int]) -> sql.Composed:
    """Return the statement that copies the rows of some batches, between which there may be others, under their names."""
    query = sql.SQL(table.query).format(first=sql.Literal(min(batches)), last=sql.Literal(max(batches)))
    only = sql.SQL("SELECT * FROM ({query}) q WHERE q.batch_id = ANY({batches}::BIGINT[])")
    return _copied(only.format(query=query, batches=sql.Literal([*batches])), has_names=True)


def _copied(query: sql.Composed, *, has_names: bool) -> sql.Composed:
    return sql.SQL("COPY ({query}) TO STDOUT (FORMAT csv, NULL {null}, HEADER {names})").format(
        query=query, null=sql.Literal(NULL), names=sql.Literal(has_names)
    )
