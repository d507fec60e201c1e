"""Rows of text become a Parquet file, by DuckDB and without a loop over them here.

What is missing is written as `\\N` without quotation marks, so it is never taken for an empty text, nor for one that is
spelled so.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

from domain.errors import BallastError, ConfigError
from domain.proof.rows import NULL
from sinks.archive.tables import Kept

LINE_BYTES_MAX = 32 * 1024 * 1024
"""A message in quarantine may have four megabytes, and each byte of it is two digits of text."""

ROWS_PER_GROUP = 100_000

Duck = duckdb.DuckDBPyConnection


@contextmanager
def duck(scratch: Path, memory: str = "1500MB") -> Iterator[Duck]:
    """Open a DuckDB that keeps nothing, asks no network for anything, and puts what is too much for memory into a folder."""
    with duckdb.connect(":memory:") as opened:
        opened.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET autoinstall_known_extensions = false")
        opened.execute(f"SET memory_limit = '{memory}'; SET temp_directory = '{_quoted(scratch)}'")
        yield opened


def write_parquet(opened: Duck, kept: Kept, rows: Path, file: Path) -> None:
    """Make a file of a table out of its rows as CSV, which begin with their names."""
    made = ", ".join(f'{one.made_by} AS "{one.name}"' for one in kept.columns)
    types = ", ".join(f"'{one.read_from}': '{one.read_as}'" for one in kept.columns)
    try:
        opened.execute(
            f"""
            COPY (
                SELECT {made} FROM read_csv(?, header = true, auto_detect = false, columns = {{{types}}}, nullstr = '{NULL}',
                    allow_quoted_nulls = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', strict_mode = true,
                    max_line_size = {LINE_BYTES_MAX}, buffer_size = {2 * LINE_BYTES_MAX})
            ) TO '{_quoted(file)}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_GROUP})
            """,  # noqa: S608 - names of columns and of a folder of ours
            [str(rows)],
        )
    except duckdb.IOException as error:
        msg = f"{file} cannot be written to: {str(error).splitlines()[0]}"
        raise ConfigError(msg) from error
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        msg = f"{kept.folder} has a row that no archive can hold: {said}; ballast ledger verify tells more"
        raise BallastError(msg) from error


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")


class Lines:
    """Rows of a table on their way into a CSV file, written one by one: for what comes as messages and not as a copy."""

    def __init__(self, kept: Kept, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._file.write(",".join(one.read_from for one in kept.columns) + "\n")

    def write(self, cells: Iterable[str | int | None]) -> None:
        """Write a row; None is what is missing. No text of ours has a comma or a quotation mark here."""
        self._file.write(",".join([NULL if cell is None else str(cell) for cell in cells]) + "\n")

    def close(self) -> None:
        """End the file."""
        self._file.close()
