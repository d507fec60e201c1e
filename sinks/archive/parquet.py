"""Rows of text become a Parquet file, by DuckDB and without a loop over them here.

What is missing is written as `\\N` without quotation marks, so it is never taken for an empty text, nor for one that is
spelled so.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb

from domain.errors import BallastError, ConfigError
from domain.proof.rows import NULL
from sinks.archive.manifest import Hole
from sinks.archive.tables import Kept

LINE_BYTES_MAX = 32 * 1024 * 1024
"""A message in quarantine may have four megabytes, and each byte of it is two digits of text."""

ROWS_PER_GROUP = 100_000
HOLES = "holes"
"""What a file that no manifest tells of says of the offsets that it lacks, in the metadata that Parquet has a place for."""

Duck = duckdb.DuckDBPyConnection


@contextmanager
def duck(scratch: Path, memory: str = "1500MB") -> Iterator[Duck]:
    """Open a DuckDB that keeps nothing, asks no network for anything, and puts what is too much for memory into a folder."""
    with duckdb.connect(":memory:") as opened:
        opened.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false; SET autoinstall_known_extensions = false")
        opened.execute(f"SET memory_limit = '{memory}'; SET temp_directory = '{_quoted(scratch)}'")
        yield opened


def write_parquet(opened: Duck, kept: Kept, rows: Path, file: Path, holes: Sequence[Hole] = ()) -> None:
    """Make a file of a table out of its rows as CSV, which begin with their names; it says what its holes are, if any."""
    made = ", ".join(f'{one.made_by} AS "{one.name}"' for one in kept.columns)
    types = ", ".join(f"'{one.read_from}': '{one.read_as}'" for one in kept.columns)
    try:
        opened.execute(
            f"""
            COPY (
                SELECT {made} FROM read_csv(?, header = true, auto_detect = false, columns = {{{types}}}, nullstr = '{NULL}',
                    allow_quoted_nulls = false, delim = ',', quote = '"', escape = '"', new_line = '\\n', strict_mode = true,
                    max_line_size = {LINE_BYTES_MAX}, buffer_size = {2 * LINE_BYTES_MAX})
            ) TO '{_quoted(file)}' ({_made_as(holes)})
            """,  # noqa: S608 - names of columns and of a folder of ours
            [str(rows)],
        )
    except duckdb.IOException as error:
        raise _unwritable(file, error) from error
    except duckdb.Error as error:
        said = str(error).splitlines()[0]
        msg = f"{kept.folder} has a row that no archive can hold: {said}; ballast ledger verify tells more"
        raise BallastError(msg) from error


def copy_columns(opened: Duck, query: str, columns: Sequence[object], file: Path, holes: Sequence[Hole] = ()) -> None:
    """Make a file of a query over columns that are here as lists, without text in between."""
    try:
        opened.execute(f"COPY ({query}) TO '{_quoted(file)}' ({_made_as(holes)})", columns)
    except duckdb.IOException as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: duckdb.Error) -> ConfigError:
    return ConfigError(f"{file} cannot be written to: {str(error).splitlines()[0]}")


def merge_parquet(opened: Duck, kept: Kept, files: Sequence[Path], file: Path, holes: Sequence[Hole] = ()) -> None:
    """Make one file of several of a table, by offset or by batch."""
    order = "batch_id" if "batch_id" in {one.name for one in kept.columns} else '"offset"'
    query = f"COPY (FROM read_parquet(?) ORDER BY {order}) TO '{_quoted(file)}' ({_made_as(holes)})"
    opened.execute(query, [[*map(str, files)]])


def _made_as(holes: Sequence[Hole]) -> str:
    said = f", KV_METADATA {{{HOLES}: '{json.dumps(holes)}'}}" if holes else ""
    return f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROWS_PER_GROUP}{said}"


def rows_in(opened: Duck, file: Path) -> int:
    """Return how many rows a file has."""
    counted = opened.execute("SELECT num_rows FROM parquet_file_metadata(?)", [str(file)]).fetchone()
    assert counted is not None, "a file has metadata"  # noqa: S101
    return int(counted[0])


def holes_in(opened: Duck, file: Path) -> list[Hole]:
    """Return the holes that a file of messages tells of."""
    query = "SELECT decode(value) FROM parquet_kv_metadata(?) WHERE decode(key) = ?"
    said = opened.execute(query, [str(file), HOLES]).fetchone()
    return [] if said is None else [(first, last) for first, last in json.loads(said[0])]


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
