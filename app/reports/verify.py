"""Proving the ledger: every hash and every body computed again, from the database or from an export without one."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from domain.chain import Verified, verify
from domain.chain_balances import Followed, other_balances
from domain.chain_batches import BatchRows, by_batch, readable
from domain.chain_rows import AccountRow, Cells, batch_row, conflict_row, entry_row, header_row, reject_row
from domain.chain_seals import Recount
from domain.chain_text import cells_of
from domain.errors import ConfigError
from sinks.connecting import Connection, connect
from sinks.ledger_export import (
    ACCOUNTS,
    BALANCES,
    BATCHES,
    CONFLICTS,
    ENTRIES,
    HEADERS,
    PERIODS,
    REJECTS,
    TABLES,
    Table,
    cells,
    export,
    ranges,
    snapshot,
)

Progress = Callable[[int], None]
"""Is told from time to time how many batches have been verified."""

_READERS: dict[Table, Callable[[Cells], Any]] = {
    BATCHES: batch_row,
    HEADERS: header_row,
    ENTRIES: entry_row,
    REJECTS: reject_row,
    CONFLICTS: conflict_row,
}

DETAILS_MAX = 10
"""How many of the things that are wrong in a batch are told in words."""


def verify_database(dsn: str, progress: Progress) -> dict[str, Any]:
    """Verify the ledger as it stands at this moment, balances and seals included; writers are not kept waiting."""
    with connect(dsn, "reader", "ledger verify") as connection, snapshot(connection):
        others = {table: cells(connection, table) for table in (ACCOUNTS, BALANCES, PERIODS)}
        return _report(others, _read(connection), progress)


def verify_folder(folder: Path, progress: Progress) -> dict[str, Any]:
    """Verify an export, by its files alone. ConfigError if one is missing or is not one of an export."""
    with ExitStack() as stack:
        lines = {table: cells_of(_opened(folder, table, stack), len(table.columns)) for table in TABLES}
        return _report(lines, by_batch(*(readable(read, lines[table]) for table, read in _READERS.items())), progress)


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
            *(readable(read, cells(connection, table, first, last)) for table, read in _READERS.items()),
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


def _report(others: Mapping[Table, Iterable[list[str]]], batches: Iterator[BatchRows], progress: Progress) -> dict[str, Any]:
    followed, recount = Followed(_accounts(others[ACCOUNTS])), Recount(others[PERIODS])
    counts, broken = _walked(verify(followed, recount.counted(batches)), progress)
    balances = [one._asdict() for one in other_balances(followed, others[BALANCES])]
    seals = [seal._asdict() for seal in recount.checked()]
    is_intact = not broken and not balances and all(seal["is_sound"] for seal in seals)
    return {**counts, "is_intact": is_intact, "broken": broken, "balances": balances, "seals": seals}


def _walked(verified: Iterable[Verified], progress: Progress) -> tuple[dict[str, int], list[dict[str, Any]]]:
    """How much there was, and the batches that are not as they were written, in order."""
    counts = dict.fromkeys(("batches", "transactions", "entries", "rejects", "conflicts"), 0)
    broken = []
    for one in verified:
        for name, count in zip(counts, (1, *one.counts), strict=True):
            counts[name] += count
        if one.faults:
            broken.append(one)
        progress(counts["batches"])
    broken.sort(key=lambda one: one.batch_id)
    return counts, [_told(one) for one in broken]


def _told(verified: Verified) -> dict[str, Any]:
    return {
        "batch_id": verified.batch_id,
        "shard": verified.shard,
        "what": [str(part) for part in verified.parts],
        "details": [fault.detail for fault in verified.faults[:DETAILS_MAX]],
        "more": max(0, len(verified.faults) - DETAILS_MAX),
    }
