"""Rows in the order in which they were written, put together batch by batch.

The streams are read side by side, so a ledger of any size takes the memory of one batch. A row that cannot be read is not
an error but a finding: it stands for itself as `Unreadable`, in the batch where it was found.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from domain.proof.rows import BatchRow, Cells, DerivedRow, EntryRow, HeaderRow, KeptRow, Unreadable

Row = TypeVar("Row")


class BatchRows(NamedTuple):
    """All that was written in one batch. `batch` is None if there are rows of a batch that is not there."""

    batch_id: int
    batch: BatchRow | None
    headers: list[HeaderRow | Unreadable]
    entries: list[EntryRow | Unreadable]
    rejects: list[KeptRow | Unreadable]
    conflicts: list[KeptRow | Unreadable]
    sums: list[DerivedRow | Unreadable]
    resolutions: list[DerivedRow | Unreadable]


def readable(read: Callable[[Cells], Row], lines: Iterable[Cells]) -> Iterator[Row | Unreadable]:
    """The rows, with what is none in its place; it belongs to the batch that it names, or else to that before it."""
    last = 0
    for row, following in _pairs(_readable(read, lines)):
        # A row out of the order of its batches names another batch than it stands in.
        if row.batch_id < last or (following is not None and last <= following.batch_id < row.batch_id):
            yield Unreadable(last, str(row))
            continue
        last = row.batch_id
        yield row


def _readable(read: Callable[[Cells], Any], lines: Iterable[Cells]) -> Iterator[Any]:
    last = 0
    for cells in lines:
        try:
            row = read(cells)
        except (ValueError, TypeError):
            row = Unreadable(_batch_of(cells, last), ",".join(cells))
        last = row.batch_id
        yield row


def _pairs(rows: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    """Every row with the one after it, None at the end."""
    row = next(rows, None)
    while row is not None:
        following = next(rows, None)
        yield row, following
        row = following


def _batch_of(cells: Cells, last: int) -> int:
    first = cells[0] if cells else ""
    return int(first) if first.isascii() and first.isdigit() else last


def by_batch(batches: Iterable[BatchRow | Unreadable], *others: Iterable[Any]) -> Iterator[BatchRows]:
    """The streams, each in order of its batches, put together; the others are in the order of `BatchRows`."""
    parts = [_Ahead(rows) for rows in others]
    for batch in batches:
        yield from _lost(parts, batch.batch_id)
        found = batch if isinstance(batch, BatchRow) else None
        yield _together(parts, batch.batch_id, found)
    yield from _lost(parts, None)


class _Ahead:
    """A stream of rows of which the next one can be looked at."""

    def __init__(self, rows: Iterable[Any]) -> None:
        self._rows = iter(rows)
        self.next: Any = next(self._rows, None)

    def take(self, batch_id: int) -> list[Any]:
        """The rows from here on that are of this batch."""
        taken = []
        while self.next is not None and self.next.batch_id == batch_id:
            taken.append(self.next)
            self.next = next(self._rows, None)
        return taken


def _lost(parts: list[_Ahead], before: int | None) -> Iterator[BatchRows]:
    """Rows of batches that should have come earlier than `before`, or than the end."""
    while waiting := [part.next.batch_id for part in parts if part.next is not None]:
        batch_id = min(waiting)
        if before is not None and batch_id >= before:
            return
        yield _together(parts, batch_id, None)


def _together(parts: list[_Ahead], batch_id: int, batch: BatchRow | None) -> BatchRows:
    return BatchRows(batch_id, batch, *(part.take(batch_id) for part in parts))
