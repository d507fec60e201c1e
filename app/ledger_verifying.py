"""Proving the ledger: every hash and every body computed again, from the database or from an export without one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from app.ledger_tables import plain_rows
from domain.chain import Verified, verify
from domain.chain_batches import BatchRows, by_batch, readable
from domain.chain_rows import AccountRow, batch_row, entry_row, header_row, reject_row
from domain.chain_text import cells_of
from domain.errors import ConfigError
from sinks.connecting import connect
from sinks.ledger_export import (
    ACCOUNTS,
    BATCHES,
    ENTRIES,
    HEADERS,
    REJECTS,
    TABLES,
    Connection,
    Table,
    cells,
    export,
    ranges,
    snapshot,
)
from sinks.ledger_queries import ask

Progress = Callable[[int], None]
"""Is told from time to time how many batches have been verified."""

DETAILS_MAX = 10
"""How many of the things that are wrong in a batch are told in words."""


def verify_database(dsn: str, progress: Progress) -> dict[str, Any]:
    """Verify the ledger as it stands at this moment, seals included; writers are not kept waiting."""
    with connect(dsn, "reader", "ledger verify") as connection, snapshot(connection):
        accounts = _accounts(cells(connection, ACCOUNTS))
        report = _report(verify(accounts, _read(connection)), progress)
        seals = plain_rows(ask(connection, "seals"))
    is_intact = report["is_intact"] and all(seal["is_sound"] for seal in seals)
    return {**report, "is_intact": is_intact, "seals": seals}


def verify_folder(folder: Path, progress: Progress) -> dict[str, Any]:
    """Verify an export, by its files alone. ConfigError if one is missing or is not one of an export."""
    with ExitStack() as stack:
        lines = {table: cells_of(_opened(folder, table, stack), len(table.columns)) for table in TABLES}
        streams = by_batch(
            readable(batch_row, lines[BATCHES]),
            readable(header_row, lines[HEADERS]),
            readable(entry_row, lines[ENTRIES]),
            readable(reject_row, lines[REJECTS]),
        )
        return _report(verify(_accounts(lines[ACCOUNTS]), streams), progress)


def export_ledger(dsn: str, folder: Path) -> dict[str, Any]:
    """Write the export of this moment into a folder; the number of bytes of each file."""
    try:
        with connect(dsn, "reader", "ledger export") as connection:
            return {"folder": str(folder), "bytes": export(connection, folder)}
    except OSError as error:
        msg = f"{folder} cannot be written to: {error.strerror}"
        raise ConfigError(msg) from error


def _read(connection: Connection) -> Iterator[BatchRows]:
    for first, last in ranges(connection):
        yield from by_batch(
            readable(batch_row, cells(connection, BATCHES, first, last)),
            readable(header_row, cells(connection, HEADERS, first, last)),
            readable(entry_row, cells(connection, ENTRIES, first, last)),
            readable(reject_row, cells(connection, REJECTS, first, last)),
        )


def _opened(folder: Path, table: Table, stack: ExitStack) -> TextIO:
    path = folder / table.file
    try:
        # Bytes that are no text are kept as they are: they break the hash, and nothing else.
        file = stack.enter_context(path.open(encoding="utf-8", errors="surrogateescape", newline="\n"))
        names = file.readline().rstrip("\n").split(",")
    except OSError as error:
        msg = f"{path} cannot be read: {error.strerror}; write an export with: ballast ledger export {folder}"
        raise ConfigError(msg) from error
    if names != list(table.columns):
        msg = f"{path} does not begin with the columns of an export; write one with: ballast ledger export {folder}"
        raise ConfigError(msg)
    return file


def _accounts(rows: Iterable[list[str]]) -> dict[int, AccountRow]:
    """The accounts by number; one that cannot be read is missed by whatever was booked on it."""
    return dict(row for row in map(_account, rows) if row is not None)


def _account(cells: list[str]) -> tuple[int, AccountRow] | None:
    try:
        number, code, _, shard, _ = cells
        return int(number), AccountRow(code, int(shard))
    except ValueError:
        return None


def _report(verified: Iterable[Verified], progress: Progress) -> dict[str, Any]:
    counts = {"batches": 0, "transactions": 0, "entries": 0, "rejects": 0}
    broken = []
    for one in verified:
        counts["batches"] += 1
        counts["transactions"] += one.transactions
        counts["entries"] += one.entries
        counts["rejects"] += one.rejects
        if one.faults:
            broken.append(one)
        progress(counts["batches"])
    broken.sort(key=lambda one: one.batch_id)
    return {**counts, "is_intact": not broken, "broken": [_told(one) for one in broken]}


def _told(verified: Verified) -> dict[str, Any]:
    return {
        "batch_id": verified.batch_id,
        "shard": verified.shard,
        "what": [str(part) for part in verified.parts],
        "details": [fault.detail for fault in verified.faults[:DETAILS_MAX]],
        "more": max(0, len(verified.faults) - DETAILS_MAX),
    }
