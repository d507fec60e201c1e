"""A snapshot: all tables of one moment of the database, and then every message that the topics have.

The order is what makes it judgeable. What is booked was on a topic before, so topics that are read after the database have all
that is booked; what they have besides came later, or was on its way. How far the flows had come at the moment of the database
stands in `treasury/gauge`: a message after that is *not yet*, and never a breach.

It is written beside its place and moved there as a whole once all of it is on the disk, so a half one is never taken for one.
"""

import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import mkdtemp
from typing import NamedTuple

from domain.errors import ConfigError
from domain.streams.records import RawMessage
from sinks.archive.disk import sync
from sinks.archive.manifest import Filed, Hole, System, filed, write_about, write_manifest
from sinks.archive.parquet import Duck, Lines, duck, write_parquet
from sinks.archive.tables import LATER, LEDGER, MESSAGES, TREASURY, Kept
from sinks.ledger.export import copied, copied_of, snapshot
from sinks.postgres import Connection, connect

Messages = Iterable[tuple[tuple[str, int], RawMessage]]
Topics = Mapping[str, Callable[[], Messages]]
"""What reads the messages of each topic, in offset order within a partition, up to its present end."""

_SUMS = """
SELECT currency, CAST(layer AS VARCHAR) AS layer, CAST(coalesce(sum(amount) FILTER (WHERE side = 1), 0) AS VARCHAR) AS debits,
    CAST(coalesce(sum(amount) FILTER (WHERE side = -1), 0) AS VARCHAR) AS credits
FROM read_parquet(?) GROUP BY currency, layer ORDER BY currency, layer
"""
_NUMBERS = {"ledger": "batch_id", "topics": "offset"}
"""What the first and the last of a file are told of."""


class History(NamedTuple):
    """When the first bar of a price history began, and how far apart its bars are; a demo plays it faster than it was."""

    first: str
    step_ms: int


class About(NamedTuple):
    """What a snapshot says of itself that is not in its rows: its cluster, if it has one, its time, and the rule of pairing.

    `history` is that of the prices that a demo has played, four to a bar.
    """

    cluster_id: str | None
    made_at: str
    pairing: str
    history: History | None = None


def take(dsn: str, topics: Topics, folder: Path, about: About) -> None:
    """Write a snapshot to a folder that is not there yet, or empty. ConfigError when it cannot be written to."""
    folder = folder.resolve()
    try:
        if folder.exists() and any(folder.iterdir()):
            msg = f"{folder} has something in it; name a new folder for a snapshot"
            raise ConfigError(msg)
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        _take(dsn, topics, beside, about)
        beside.replace(folder)
        sync(folder.parent)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"{folder} cannot be written to: {error.strerror}")


def _take(dsn: str, topics: Topics, folder: Path, about: About) -> None:
    scratch = folder / "scratch"
    scratch.mkdir()
    with duck(scratch) as opened:
        system, copies = _copied(dsn, scratch, about)
        files = [one for name, read in topics.items() for one in _topic(opened, folder, name, read())]
        files += [_file(opened, kept, rows, folder / kept.folder / "all.parquet", folder) for kept, rows in copies]
        files.append(_no_messages(opened, folder))
        added_up = sums(opened, folder)
    shutil.rmtree(scratch)
    write_about(
        folder, system, about.made_at, about.pairing, more={"history": about.history._asdict()} if about.history else {}
    )
    write_manifest(folder, system, sorted(files), added_up)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        sync(path)


def _copied(dsn: str, scratch: Path, about: About) -> tuple[System, list[tuple[Kept, Path]]]:
    """Copy all tables as text, of one moment that lasts no longer than that; nobody's dead rows wait for a compression."""
    copies: list[tuple[Kept, Path]] = []
    with connect(dsn, "reader", "snapshot") as connection, snapshot(connection):
        for kept in (*LEDGER, *TREASURY, *LATER):
            copies.append((kept, scratch / f"{kept.folder.replace('/', '.')}.csv"))
            copy_rows(connection, *copies[-1])
        return System(about.cluster_id, database_of(connection)), copies


def database_of(connection: Connection) -> str:
    """Name the ledger by the first word of the history of its accounts, which a backup keeps and no other ledger has."""
    found = connection.execute("SELECT encode(hash, 'hex') FROM ledger.account_change ORDER BY revision LIMIT 1").fetchone()
    return str(found[0]) if found else ""


def copy_rows(connection: Connection, kept: Kept, rows: Path, batches: Sequence[int] = ()) -> None:
    """Copy a table as text, all of it or what it has of some batches."""
    assert kept.table is not None, "tables of Postgres have queries"  # noqa: S101
    statement = copied_of(kept.table, batches) if batches else copied(kept.table, has_names=True)
    with rows.open("wb") as file, connection.cursor().copy(statement) as copy:
        for block in copy:
            file.write(block)


def _file(opened: Duck, kept: Kept, rows: Path, path: Path, folder: Path, holes: Sequence[Hole] = ()) -> Filed:
    """Make a file of rows as text, which are gone then."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_parquet(opened, kept, rows, path)
    rows.unlink()
    number = _NUMBERS.get(kept.folder.split("/")[0])
    number = number if number in [one.name for one in kept.columns] else None
    asked = f'min("{number}"), max("{number}")' if number else "NULL, NULL"
    found = opened.execute(f"SELECT count(*), {asked} FROM read_parquet(?)", [str(path)]).fetchone()  # noqa: S608
    assert found is not None, "a count is a row"  # noqa: S101
    count, first, last = found
    return filed(folder, path, count, first, last, holes)


def _no_messages(opened: Duck, folder: Path) -> Filed:
    rows = folder / "scratch" / "none.csv"
    with closing(Lines(MESSAGES, rows)):
        pass
    return _file(opened, MESSAGES, rows, folder / "topics" / "none.parquet", folder)


def _topic(opened: Duck, folder: Path, name: str, messages: Messages) -> list[Filed]:
    """Write what a topic has, a file for each partition that has something."""
    scratch, kept = folder / "scratch", MESSAGES._replace(folder=f"topics/{name}")
    partitions: dict[int, _Partition] = {}
    with ExitStack() as stack:
        for (_, number), message in messages:
            if number not in partitions:
                partitions[number] = stack.enter_context(closing(_Partition(name, number, scratch)))
            partitions[number].write(message)
    return [partitions[number].kept(opened, kept, folder) for number in sorted(partitions)]


class _Partition:
    """The messages of a partition on their way into a file."""

    def __init__(self, topic: str, number: int, scratch: Path) -> None:
        self._topic, self._number, self._path = topic, number, scratch / f"{number}.csv"
        self._lines = Lines(MESSAGES, self._path)
        self._first: int | None = None
        self._next = 0
        self._holes: list[Hole] = []

    def write(self, message: RawMessage) -> None:
        if self._first is None:
            self._first = message.offset
        elif message.offset > self._next:
            self._holes.append((self._next, message.offset - 1))
        self._next = message.offset + 1
        key = None if message.key is None else message.key.hex()
        self._lines.write((self._topic, self._number, message.offset, message.at_ms, key, message.value.hex()))

    def close(self) -> None:
        self._lines.close()

    def kept(self, opened: Duck, kept: Kept, folder: Path) -> Filed:
        path = folder / kept.folder / f"{self._number}-{self._first}-{self._next - 1}.parquet"
        return _file(opened, kept, self._path, path, folder, self._holes)


def sums(opened: Duck, folder: Path) -> list[dict[str, str]]:
    """Return what the entries of a snapshot come to."""
    return add_up(opened, sorted((folder / "ledger" / "entry").glob("*.parquet")))


def add_up(opened: Duck, files: Sequence[Path]) -> list[dict[str, str]]:
    """Return what entries come to by currency and layer, as text."""
    if not files:
        return []
    found = opened.execute(_SUMS, [[*map(str, files)]])
    names = ("currency", "layer", "debits", "credits")
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
