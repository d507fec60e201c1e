"""The ledger as one file of beancount: from the database as it stands at one moment, or from an export as CSV without one."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from app.reports.verify import rows_of
from domain.errors import ConfigError, InvariantError
from domain.proof.beancount import FIRST_LINE, Tables, beancount_lines
from domain.proof.rows import Cells
from sinks.ledger.export import ACCOUNTS, BALANCES, BATCHES, ENTRIES, HEADERS, PERIODS, SUMS, Table, cells, ranges, snapshot
from sinks.postgres import Connection, connect

_WHOLE = frozenset((ACCOUNTS, PERIODS, BALANCES))
"""Tables that do not grow with every batch, and whose rows are of none."""


def export_beancount(dsn: str, file: Path) -> dict[str, Any]:
    """Write the ledger of this moment, and tell how many bytes it came to; writers are not kept waiting."""
    with connect(dsn, "reader", "ledger export") as connection, snapshot(connection):
        parts = ranges(connection)
        return _written(file, lambda table: _rows(connection, table, parts))


def convert_export(folder: Path, file: Path) -> dict[str, Any]:
    """Write what stands in an export, by its files alone; the same file, to the byte, as of the ledger that was exported."""
    with ExitStack() as stack:
        return _written(file, lambda table: rows_of(folder, table, stack))


def _rows(connection: Connection, table: Table, parts: Iterable[tuple[int, int]]) -> Iterator[Cells]:
    if table in _WHOLE:
        yield from cells(connection, table)
        return
    for first, last in parts:
        yield from cells(connection, table, first, last)


def _written(file: Path, rows: Callable[[Table], Iterable[Cells]]) -> dict[str, Any]:
    """Write the file beside its place, and put it there when it is whole. ConfigError if something else is in its way."""
    unfinished = Path(f"{file}.new")
    try:
        for path in (file, unfinished):
            _refuse_other(path)
        tables = Tables(*map(rows, (ACCOUNTS, PERIODS, SUMS, BALANCES, HEADERS, ENTRIES, BATCHES)))
        size = _fill(unfinished, beancount_lines(tables))
        unfinished.replace(file)
    except OSError as error:
        msg = f"{file} cannot be written: {error.strerror}; name another file"
        raise ConfigError(msg) from error
    except UnicodeEncodeError as error:
        msg = "the ledger has bytes in it that are no text; all that was changed: ballast ledger verify"
        raise InvariantError(msg) from error
    return {"file": str(file), "bytes": size}


def _refuse_other(path: Path) -> None:
    """ConfigError if there is something at this place that no export has put there."""
    if not _is_ours(path):
        msg = f"{path} is something else than a ledger for beancount; move it away, or name another file"
        raise ConfigError(msg)


def _is_ours(path: Path) -> bool:
    """Whether nothing would be lost with what is there; what is no plain file is not even looked into, for it may never end."""
    if not path.is_file():
        return not path.exists()
    with path.open("rb") as file:
        return file.read(len(FIRST_LINE)) in (b"", FIRST_LINE.encode())


def _fill(unfinished: Path, lines: Iterable[str]) -> int:
    """Write all lines, down to the disk, and return how many bytes they are; what ends before its end is not left behind."""
    try:
        with unfinished.open("w", encoding="utf-8", newline="\n") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
            return file.tell()
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
