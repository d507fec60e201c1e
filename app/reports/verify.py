"""Proving the ledger: every hash and every body computed again, from the database or from an export without one."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TextIO

from domain.errors import ConfigError
from domain.proof.accounts import booked_on, other_accounts, told
from domain.proof.balances import Followed, other_balances
from domain.proof.batches import BatchRows, by_batch, readable
from domain.proof.csv_text import cells_of
from domain.proof.rows import Cells, batch_row, conflict_row, derived_row, entry_row, header_row, reject_row
from domain.proof.seals import Recount
from domain.proof.verify import Head, Verified, verify
from sinks.archive.exporting import export_snapshot
from sinks.archive.manifest import open_archive
from sinks.archive.parquet import duck
from sinks.archive.reading import snapshot_in
from sinks.ledger.export import (
    ACCOUNTS,
    BALANCES,
    BATCHES,
    CHANGES,
    CONFLICTS,
    ENTRIES,
    HEADERS,
    PERIODS,
    REJECTS,
    RESOLUTIONS,
    SUMS,
    TABLES,
    Table,
    cells,
    export,
    ranges,
    snapshot,
)
from sinks.postgres import Connection, connect

Progress = Callable[[int], None]
"""Is told from time to time how many batches have been verified."""

_READERS: dict[Table, Callable[[Cells], Any]] = {
    BATCHES: batch_row,
    HEADERS: header_row,
    ENTRIES: entry_row,
    REJECTS: reject_row,
    CONFLICTS: conflict_row,
    SUMS: derived_row,
    RESOLUTIONS: derived_row,
}

DETAILS_MAX = 10
"""How many of the things that are wrong in a batch are told in words."""


def verify_database(dsn: str, progress: Progress, heads: Collection[Head] = ()) -> dict[str, Any]:
    """Verify the ledger as it stands at this moment, balances and seals included; writers are not kept waiting.

    The chain has to have the `heads` in it, which were told at an earlier time.
    """
    with connect(dsn, "reader", "ledger verify") as connection, snapshot(connection):
        others = {table: cells(connection, table) for table in (ACCOUNTS, CHANGES, BALANCES, PERIODS)}
        return _report(others, _read(connection), progress, heads)


def verify_folder(folder: Path, progress: Progress, heads: Collection[Head] = ()) -> dict[str, Any]:
    """Verify an export, by its files alone. ConfigError if one is missing or is not one of an export."""
    with ExitStack() as stack:
        lines = {table: rows_of(folder, table, stack) for table in TABLES}
        return _report(lines, by_batch(*(readable(read, lines[table]) for table, read in _READERS.items())), progress, heads)


def export_ledger(dsn: str, folder: Path) -> dict[str, Any]:
    """Write the export of this moment into a folder; the number of bytes of each file."""
    try:
        with connect(dsn, "reader", "ledger export") as connection:
            return {"folder": str(folder), "bytes": export(connection, folder)}
    except OSError as error:
        msg = f"{folder} cannot be written to: {error.strerror}"
        raise ConfigError(msg) from error


def export_kept(kept: Path, folder: Path) -> dict[str, Any]:
    """Write the same out of a snapshot or an archive, without a database."""
    with TemporaryDirectory(prefix="ballast-export-") as scratch, duck(Path(scratch)) as opened:
        archive = open_archive(snapshot_in(kept, Path(scratch)))
        try:
            return {"folder": str(folder), "bytes": export_snapshot(opened, archive.folder, folder)}
        except OSError as error:
            msg = f"{folder} cannot be written to: {error.strerror}"
            raise ConfigError(msg) from error


def _read(connection: Connection) -> Iterator[BatchRows]:
    for first, last in ranges(connection):
        yield from by_batch(
            *(readable(read, cells(connection, table, first, last)) for table, read in _READERS.items()),
        )


def rows_of(folder: Path, table: Table, stack: ExitStack) -> Iterator[list[str]]:
    """The rows of a table of an export, whose file is open until the stack ends. ConfigError if it is not one of an export."""
    return cells_of(_opened(folder, table, stack), len(table.columns))


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


def _report(
    others: Mapping[Table, Iterable[list[str]]],
    batches: Iterator[BatchRows],
    progress: Progress,
    heads: Collection[Head],
) -> dict[str, Any]:
    accounts, history = list(others[ACCOUNTS]), told(others[CHANGES])
    followed, recount = Followed(booked_on(history, accounts), history.hashes), Recount(others[PERIODS])
    walked = _walked(verify(followed, recount.counted(batches)), progress, heads)
    changed = [one._asdict() for one in other_accounts(history, accounts)]
    balances = [one._asdict() for one in other_balances(followed, others[BALANCES])]
    seals = [seal._asdict() for seal in recount.checked()]
    lost = [str(head) for head in sorted(heads) if head not in walked.found]
    is_intact = not (walked.broken or changed or balances or lost) and all(seal["is_sound"] for seal in seals)
    return {
        **walked.counts,
        "is_intact": is_intact,
        "heads": [str(walked.heads[shard]) for shard in sorted(walked.heads)],
        "heads_lost": lost,
        "broken": [_told(one) for one in sorted(walked.broken, key=lambda one: one.batch_id)],
        "accounts": changed,
        "balances": balances,
        "seals": seals,
    }


class _Walked(NamedTuple):
    """How much there was, the batches that are not as they were written, the last of each shard, and the heads found again."""

    counts: dict[str, int]
    broken: list[Verified]
    heads: dict[int, Head]
    found: set[Head]


def _walked(verified: Iterable[Verified], progress: Progress, heads: Collection[Head]) -> _Walked:
    walked = _Walked(dict.fromkeys(("batches", "transactions", "entries", "rejects", "conflicts"), 0), [], {}, set())
    for one in verified:
        for name, count in zip(walked.counts, (1, *one.counts), strict=True):
            walked.counts[name] += count
        if one.faults:
            walked.broken.append(one)
        if one.shard is not None:
            head = walked.heads[one.shard] = Head(one.shard, one.batch_id, one.hash)
            walked.found.update({head} & set(heads))
        progress(walked.counts["batches"])
    return walked


def _told(verified: Verified) -> dict[str, Any]:
    return {
        "batch_id": verified.batch_id,
        "shard": verified.shard,
        "what": [str(part) for part in verified.parts],
        "details": [fault.detail for fault in verified.faults[:DETAILS_MAX]],
        "more": max(0, len(verified.faults) - DETAILS_MAX),
    }
