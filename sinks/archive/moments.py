"""The books of an archive that goes on: moment after moment, each with the batches that came since the one before.

A moment is one folder, which is there whole or not at all. It has the rows of its batches, which stay, and everything that is
of no batch (accounts, balances, decisions and the like) as it was then, whole, of which the two newest moments are enough.

Batches get their numbers before they are committed, so of two shards the lower number can come later. Within a shard they
come in order. So what came since is told by the last batch of each shard, and the folder says which that is.

A moment waits until the last message that each partition had then is in the folder: what is booked was on a topic before, and
an archive that has the one has the other, as a snapshot has. Offsets tell that; a time that all partitions have passed does not,
since a message may be long on its way to a reader who believes to be at the end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from domain.errors import ConfigError
from domain.streams.gauges import Gauge
from domain.times import datetime_of
from sinks.archive.disk import moved, written
from sinks.archive.lives import Named, outermost, stray
from sinks.archive.manifest import ARCHIVE, FORMAT, about
from sinks.archive.parquet import Duck, write_parquet
from sinks.archive.snapshot import copy_rows, database_of
from sinks.archive.tables import LATER, LEDGER, TREASURY, Kept
from sinks.gauges import GaugeSink
from sinks.ledger.export import snapshot
from sinks.postgres import connect

BOOKS, STEP = "books", "keep"
"""The folder of the moments, and the name by which the flow says until when everything is kept."""

OF_BATCHES = tuple(kept for kept in LEDGER if "batch_id" in {one.name for one in kept.columns})
(BATCH,) = (kept for kept in LEDGER if kept.folder == "ledger/batch")
WHOLE = tuple(kept for kept in (*LEDGER, *TREASURY, *LATER) if kept not in OF_BATCHES)
KEPT_WHOLE = 2
"""Of so many moments the tables are kept that each has whole: who reads the newest has the time until the next but one."""

_NEW = """
SELECT b.batch_id FROM ledger.writer w
LEFT JOIN unnest(%s::SMALLINT[], %s::BIGINT[]) k (shard, last) USING (shard)
JOIN LATERAL (
    SELECT n.batch_id FROM ledger.batch n WHERE n.shard = w.shard AND n.batch_id > coalesce(k.last, 0)
) b ON TRUE
ORDER BY b.batch_id
"""


Offsets = Mapping[tuple[str, int], int]
"""An offset of each partition; of one that has no message there is none."""


class Moment(NamedTuple):
    """Tables of one moment that wait for the messages before it: their folder, and what was the last then, batch of each
    shard and offset of each partition."""

    at_ms: int
    folder: Path
    lasts: Mapping[int, int]
    offsets: Offsets


class Moments:
    """Follows the books as a reader; ConfigError when the folder is of another ledger. `ends` asks for the last offsets."""

    def __init__(
        self, dsn: str, folder: Path, pairing: str, clock: Callable[[], int], ends: Callable[[], Offsets], unfinished: Path
    ) -> None:
        self._folder, self._unfinished, self._pairing = folder, unfinished, pairing
        self._clock, self._ends = clock, ends
        self._until_ms = max((name.last for day in (folder / BOOKS).glob("*") for name, _ in spans(day)), default=-1)
        self._connection = connect(dsn, "reader", "archive")
        self._gauges = GaugeSink(dsn).build_part("to_gauges", "gauges-0", None)
        self._lasts: Mapping[int, int] | None = None
        self._waits: Moment | None = None

    def follow(self, opened: Duck, kept: Offsets) -> int:
        """Keep the moment that waits if its messages are kept, up to these offsets, and take the next one; return the time of
        the last one that was kept, and leave it where a status finds it."""
        if self._waits is not None and all(kept.get(key, 0) > last for key, last in self._waits.offsets.items()):
            self._keep(self._waits)
            self._waits = None
        if self._waits is None:
            self._waits = self._take(opened)
        self._gauges.write_batch([Gauge(STEP, f"{STEP}-00", "watermark_ms", self._until_ms)])
        self._gauges.snapshot()
        return self._until_ms

    def _take(self, opened: Duck) -> Moment | None:
        """Take a moment, None of a ledger that has no accounts yet, and so no name."""
        if self._lasts is None:
            self._lasts = lasts_of(opened, self._folder / BOOKS)
        with snapshot(self._connection):
            database, at_ms = database_of(self._connection), self._clock()
            if not database:
                return None
            check_ledger(self._folder, database, self._pairing)
            beside = self._unfinished / f"{at_ms}"
            beside.mkdir()
            copies = self._copied(beside, self._new(self._lasts))
        for kept, rows in copies:
            _write(opened, kept, rows)
        return Moment(at_ms, beside, {**self._lasts, **lasts_of(opened, beside)}, self._ends())

    def _new(self, lasts: Mapping[int, int]) -> Sequence[int]:
        return [number for (number,) in self._connection.execute(_NEW, ([*lasts], [*lasts.values()]))]

    def _copied(self, beside: Path, new: Sequence[int]) -> list[tuple[Kept, Path]]:
        tables = (*(OF_BATCHES if new else ()), *WHOLE)
        copies = [(kept, beside / f"{dotted(kept)}.csv") for kept in tables]
        for kept, rows in copies:
            copy_rows(self._connection, kept, rows, new if kept in OF_BATCHES else ())
        return copies

    def _keep(self, moment: Moment) -> None:
        day = datetime_of(moment.at_ms).date().isoformat()
        moved(moment.folder, self._folder / BOOKS / day / f"{moment.at_ms}")
        self._lasts, self._until_ms = moment.lasts, moment.at_ms
        forget_old(self._folder)

    def close(self) -> None:
        """Give the connections back."""
        self._gauges.close()
        self._connection.close()


def check_ledger(folder: Path, database: str, pairing: str) -> None:
    """See that the folder is of this ledger, or of none yet, and say whose it is; ConfigError when it is of another."""
    path = folder / ARCHIVE
    ours = {"format": FORMAT, "kind": "archive", "database": database, "pairing": pairing}
    if path.exists():
        was = about(folder)
        if was == ours:
            return
        if was["database"] != database:
            msg = f"{folder} is the archive of another ledger; set archive.folder to a folder of this one"
            raise ConfigError(msg)
    written(path, ours)


def dotted(kept: Kept) -> str:
    """Return the name of a table's file in a moment, without its end."""
    return kept.folder.replace("/", ".")


def moments(folder: Path) -> list[Path]:
    """Return the folders of all moments that count, the newest last."""
    return [path for _, path in outermost(one for day in (folder / BOOKS).glob("*") for one in spans(day))[0]]


def spans(day: Path) -> Iterator[tuple[Named, Path]]:
    """Yield the moments of a day with the times in their names: one, or those of the first and the last of several."""
    for path in day.glob("*"):
        first, _, last = path.name.partition("-")
        try:
            yield Named(0, int(first), int(last or first)), path
        except ValueError as error:
            raise stray(path) from error


def lasts_of(opened: Duck, folder: Path) -> dict[int, int]:
    """Return the last batch of each shard that an archive, or a moment, has."""
    files = [str(path) for path in folder.rglob(f"{dotted(BATCH)}.parquet")]
    if not files:
        return {}
    query = "SELECT shard, max(batch_id) FROM read_parquet(?) GROUP BY shard"
    return dict(opened.execute(query, [files]).fetchall())


def forget_old(folder: Path) -> None:
    """Take out of moments what later ones have newer; what is left of each are its batches, if it had any."""
    old = [*takewhile(is_whole, reversed(moments(folder)[:-KEPT_WHOLE]))]
    # The oldest first, and the file that is looked for last, so that a kill leaves nothing that is never looked at again.
    for moment in reversed(old):
        for kept in reversed(WHOLE):
            (moment / f"{dotted(kept)}.parquet").unlink(missing_ok=True)
        if not any(moment.iterdir()):
            moment.rmdir()


def is_whole(moment: Path) -> bool:
    """Whether a moment has everything that is of no batch, too."""
    return (moment / f"{dotted(WHOLE[0])}.parquet").exists()


def _write(opened: Duck, kept: Kept, rows: Path) -> None:
    """Make a file of rows as text, none of no rows of batches; a table that is kept whole has one always."""
    with rows.open("rb") as file:
        is_empty = not (file.readline() and file.readline())
    if kept in WHOLE or not is_empty:
        write_parquet(opened, kept, rows, rows.with_suffix(".parquet"))
    rows.unlink()
