"""The ledger of a snapshot as CSV: the same files, to the byte, as an export of the database that it was taken of.

So whoever has the folder can do without a server what is done with an export: verify every hash, make a file for beancount, or
open a table in a spreadsheet.
"""

from collections.abc import Iterator
from pathlib import Path

from domain.proof.rows import NULL
from sinks.archive.parquet import Duck
from sinks.archive.tables import FLAG, LEDGER, Column, Kept

_WORDS = {"is_summary": ("true", "false")}
"""What yes and no are called in a column; elsewhere as Postgres calls them in CSV."""


def export_snapshot(opened: Duck, snapshot: Path, folder: Path) -> dict[str, int]:
    """Write every table of the ledger to a file in the folder; return the number of bytes of each. OSError if that cannot be."""
    folder.mkdir(parents=True, exist_ok=True)
    return dict(_exported(opened, snapshot, folder))


def _exported(opened: Duck, snapshot: Path, folder: Path) -> Iterator[tuple[str, int]]:
    for kept in LEDGER:
        assert kept.table is not None, "tables of Postgres have queries"  # noqa: S101
        path = folder / kept.table.file
        path.touch()
        opened.execute(
            f"COPY ({_rows(kept)}) TO '{str(path).replace(chr(39), 2 * chr(39))}' (FORMAT csv, HEADER, NULLSTR '{NULL}')",
            [str(snapshot / kept.folder / "*.parquet")],
        )
        yield kept.table.file, path.stat().st_size


def _rows(kept: Kept) -> str:
    """Return the query for the texts of a table, in the order in which they were written: of numbers, not of their texts."""
    texts = ", ".join(f'{_text(column)} AS "{column.read_from}"' for column in kept.columns)
    batch = "kept.batch_id, " if "batch_id" in {column.name for column in kept.columns} else ""
    read = "read_parquet(?, filename = true, file_row_number = true) kept"
    return f"SELECT {texts} FROM {read} ORDER BY {batch}kept.filename, kept.file_row_number"  # noqa: S608 - names of columns of ours


def _text(column: Column) -> str:
    """Return what makes the text of a column that Postgres would write."""
    name = f'"{column.name}"'
    if column.read_from != column.name:
        part = f"rtrim('.' || lpad(CAST({name} % 1000 AS VARCHAR), 3, '0'), '.0')"
        return f"CAST({name} // 1000 AS VARCHAR) || {part}"
    if column.type == FLAG:
        yes, no = _WORDS.get(column.name, ("t", "f"))
        return f"CASE {name} WHEN true THEN '{yes}' WHEN false THEN '{no}' END"
    return f"CAST({name} AS VARCHAR)"
