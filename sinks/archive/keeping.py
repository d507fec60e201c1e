"""Messages into an archive that goes on, each under its offset once, whatever is killed when.

What came is collected, and made into files when an epoch ends, or as soon as it is much. A file is written beside its place,
put on the disk, and renamed, so it is there whole or not at all, and those of a partition come in the order of their offsets:
whatever moment a process dies at, what is there is a beginning of what came. How far that goes is told by the folder and by
nothing else. There is no other saved state that could disagree: reading begins where the folder ends, and what is handed on
although the folder has it is dropped.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Protocol

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition

from domain.errors import ConfigError
from domain.streams.records import RawBatch, RawMessage
from domain.times import datetime_of
from sinks.archive.days import close_days, forget_days, sweep
from sinks.archive.disk import moved
from sinks.archive.lives import next_offsets
from sinks.archive.manifest import Hole
from sinks.archive.parquet import Duck, copy_columns, duck

UNFINISHED, LOCK = "unfinished", "archive.lock"
BYTES_MAX = 64 * 1024 * 1024
"""When so much waits, files are made before the epoch ends."""

MESSAGE_BYTES = 100
"""What a message costs beside its key and its value."""


class Books(Protocol):
    """Keeps the books beside the messages."""

    def follow(self, opened: Duck, kept: Mapping[tuple[str, int], int]) -> int:
        """Keep what came since the last time, and return until when everything is kept; `kept` are the offsets that each
        partition is kept up to."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...


OpenBooks = Callable[[Path], Books]
"""Opens the books of an archive, which make their files in a folder that is on the same disk."""


class Keeper(FixedPartitionedSink[RawBatch, None]):
    """Keeps messages below the folders of their topics' lives; one part, since a folder has one writer. Those that are older than
    some days are taken away again, if a number is given."""

    def __init__(
        self,
        folder: Path,
        lives: Mapping[str, Path],
        books: OpenBooks | None = None,
        keep_days: int = 0,
    ) -> None:
        self._folder = folder
        self._lives = lives
        self._open_books = books
        self._keep_days = keep_days

    def list_parts(self) -> list[str]:
        return ["keeper-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "Keeping":
        return Keeping(self._folder, self._lives, self._open_books, keep_days=self._keep_days)


class Keeping(StatefulSinkPartition[RawBatch, None]):
    """The one writer of a folder; ConfigError when there is another, or when the folder cannot be written to."""

    def __init__(
        self,
        folder: Path,
        lives: Mapping[str, Path],
        open_books: OpenBooks | None,
        bytes_max: int = BYTES_MAX,
        keep_days: int = 0,
    ) -> None:
        with _written(folder):
            self._lock = _locked(folder)
            self._unfinished = _emptied(folder / UNFINISHED)
            sweep(folder)
        self._folder, self._lives, self._bytes_max, self._keep_days = folder, lives, bytes_max, keep_days
        self._next = {
            (topic, number): offset for topic, life in lives.items() for number, offset in next_offsets(life).items()
        }
        self._waiting: dict[tuple[str, int], list[RawMessage]] = {}
        self._bytes = 0
        self._duck = duck(self._unfinished)
        self._opened = self._duck.__enter__()
        self._books = open_books(self._unfinished) if open_books else None

    def write_batch(self, values: list[RawBatch]) -> None:
        for batch in values:
            if batch.messages:
                self._collect((batch.topic, batch.partition), batch.messages)
        if self._bytes > self._bytes_max:
            self._flush()

    def _collect(self, key: tuple[str, int], messages: Sequence[RawMessage]) -> None:
        kept_before = self._next.get(key, 0)
        new = [message for message in messages if message.offset >= kept_before]
        self._waiting.setdefault(key, []).extend(new)
        self._bytes += sum(MESSAGE_BYTES + len(message.key or b"") + len(message.value) for message in new)

    def snapshot(self) -> None:
        self._flush()
        if self._books is not None:
            with _written(self._folder):
                until_ms = self._books.follow(self._opened, self._next)
                close_days(self._opened, self._folder, self._unfinished, until_ms)
                if self._keep_days:
                    forget_days(self._folder, self._keep_days, until_ms)

    def _flush(self) -> None:
        with _written(self._folder):
            for key, messages in sorted(self._waiting.items()):
                self._keep(key, messages)
        self._waiting, self._bytes = {}, 0

    def _keep(self, key: tuple[str, int], messages: Sequence[RawMessage]) -> None:
        topic, number = key
        for day, run in groupby(messages, _day_of):
            found = Run(topic, number, [*run], self._next.get(key))
            beside = self._unfinished / found.name
            write_messages(self._opened, found, beside)
            moved(beside, self._lives[topic] / day.isoformat() / found.name)
            self._next[key] = found.last + 1

    def close(self) -> None:
        """What waits is left behind: it is read again. Nothing may be raised here after an error."""
        if self._books is not None:
            self._books.close()
        with suppress(OSError):
            self._duck.__exit__(None, None, None)
        os.close(self._lock)


class Run(NamedTuple):
    """Messages of a partition in the order of their offsets, and the offset that was to come, None at its beginning."""

    topic: str
    partition: int
    messages: Sequence[RawMessage]
    expected: int | None

    @property
    def last(self) -> int:
        """The offset of the last one."""
        return self.messages[-1].offset

    @property
    def name(self) -> str:
        """The name of the file that they are in."""
        return f"{self.partition}-{self.messages[0].offset}-{self.last}.parquet"


def _day_of(message: RawMessage) -> date:
    return datetime_of(message.at_ms).date()


def holes_of(run: Run) -> list[Hole]:
    """Return the offsets before and between messages, from each first to each last, under which the broker had none."""
    holes, expected = list[Hole](), run.expected
    for message in run.messages:
        if expected is not None and message.offset > expected:
            holes.append((expected, message.offset - 1))
        expected = message.offset + 1
    return holes


_COLUMNS = """
SELECT $1::VARCHAR AS topic, $2::BIGINT AS partition, unnest($3::BIGINT[]) AS "offset", unnest($4::BIGINT[]) AS at_ms,
    unnest($5::BLOB[]) AS key, unnest($6::BLOB[]) AS value
"""


def write_messages(opened: Duck, run: Run, path: Path) -> None:
    """Make a file of messages, which says what its holes are."""
    copy_columns(
        opened, _COLUMNS, [run.topic, run.partition, *map(list, zip(*run.messages, strict=True))], path, holes_of(run)
    )


def _locked(folder: Path) -> int:
    """Have the folder for oneself for as long as the process lives."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    number = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(number)
        msg = f"another process writes the archive {folder}; stop it, or set archive.folder to another one"
        raise ConfigError(msg) from error
    return number


def _emptied(folder: Path) -> Path:
    """Return a folder without what an earlier process has left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


@contextmanager
def _written(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"the archive {folder} cannot be written to: {error.strerror}; nothing is lost by it, it goes on from there"
        raise ConfigError(msg) from error
