"""What an archive costs: user trades end to end without it and with it beside, in turn in one run, and what it takes by itself.

The worker and the archive stand still until all trades are on their topic, so both have all of them to do at once, which is the
worst that can come to a machine. Rates of few cores that are full differ from round to round; what all of it takes of the
processor says more. The archive makes its files every few seconds instead of minutes, so there are moments of the books in each
round.

By itself it catches up with everything that the rounds have left on the topics, into an empty folder.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import duckdb

from app.bench.end_to_end import EVERYTHING, LOOK_SECONDS, WAIT_SECONDS, Steady, steady
from app.bench.processor import processes, seconds_of
from app.settings import Data, Run, Settings
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from app.workers.worker import ARCHIVE
from connectors.clock import now_ms
from connectors.kafka.peek import last_offsets
from domain.topics import BY_NAME
from sinks.archive.keeping import LOCK
from sinks.archive.lives import TOPICS, lives_there, next_offsets
from sinks.archive.moments import moments

SECONDS = 5
"""How often the archive makes files."""

_MESSAGES = "SELECT count(*), sum(octet_length(value) + coalesce(octet_length(key), 0)) FROM read_parquet(?)"


class Round(NamedTuple):
    """Trades without and with an archive beside, and what the archive took for as many, in seconds and bytes on the disk."""

    alone: Steady
    beside: Steady
    archive_seconds: float
    archive_bytes: int


def measure(settings: Settings, trades: int, runs: int) -> dict[str, Any]:
    """One report: medians over `runs`, rates per second, microseconds of the processor per trade or message."""
    with TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        own = settings.model_copy(update={"data": Data(folder=folder), "run": Run(record_decisions="all")})
        with open_session(own, Market()) as session:
            steady(session, trades, folder, EVERYTHING)  # what a first run finds cold is in no round
            rounds = [_round(session, trades, folder, folder / f"archive-{number}") for number in range(runs)]
            return {"trades": trades, "runs": runs, **_told(rounds, trades), **_by_itself(session, folder)}


def _told(rounds: list[Round], trades: int) -> dict[str, float]:
    def middle(of: Callable[[Round], float], digits: int = 0) -> float:
        return round(median(map(of, rounds)), digits or None)

    return {
        "alone_per_second": middle(lambda one: one.alone.per_second),
        "beside_per_second": middle(lambda one: one.beside.per_second),
        "beside_to_alone": middle(lambda one: one.beside.per_second / one.alone.per_second, 3),
        "alone_us_per_trade": middle(lambda one: one.alone.seconds["all"] / trades * 1e6),
        "beside_us_per_trade": middle(lambda one: _others(one.beside) / trades * 1e6),
        "beside_to_alone_us": middle(lambda one: _others(one.beside) / one.alone.seconds["all"], 3),
        "beside_to_alone_postgres_us": middle(lambda one: one.beside.seconds["postgres"] / one.alone.seconds["postgres"], 3),
        "beside_to_alone_broker_us": middle(lambda one: one.beside.seconds["broker"] / one.alone.seconds["broker"], 3),
        "archive_us_per_trade": middle(lambda one: one.archive_seconds / trades * 1e6, 1),
        "archive_bytes_per_trade": middle(lambda one: one.archive_bytes / trades),
    }


def _others(beside: Steady) -> float:
    return beside.seconds["all"] - beside.seconds[ARCHIVE]


def _round(session: Session, trades: int, folder: Path, kept: Path) -> Round:
    alone = steady(session, trades, folder, EVERYTHING)
    with _archive(session, folder, kept) as group:
        _await_kept(session, kept, group)
        taken, size = processes(), _bytes_in(kept)
        beside = steady(session, trades, folder, EVERYTHING, {ARCHIVE: group.pids})
        _await_kept(session, kept, group)
        seconds = seconds_of(processes(), group.pids) - seconds_of(taken, group.pids)
        return Round(alone, beside, seconds, _bytes_in(kept) - size)


def _by_itself(session: Session, folder: Path) -> dict[str, float]:
    kept = folder / "archive-by-itself"
    with _archive(session, folder, kept) as group:
        while not (kept / LOCK).exists():
            _look(group)
        began, taken = time.monotonic(), processes()
        _await_messages(session, kept, group)
        seconds, spent = time.monotonic() - began, seconds_of(processes(), group.pids) - seconds_of(taken, group.pids)
    files = [str(path) for path in (kept / TOPICS).rglob("*.parquet")]
    count, size = duckdb.execute(_MESSAGES, [files]).fetchall()[0]
    return {
        "catching_up_messages_per_second": round(count / seconds),
        "catching_up_megabytes_per_second": round(float(size) / 1e6 / seconds, 1),
        "catching_up_us_per_message": round(spent / count * 1e6, 1),
    }


@contextmanager
def _archive(session: Session, folder: Path, kept: Path) -> Iterator[Group]:
    own: Mapping[str, str] = {**session.env, "BALLAST_ARCHIVE": json.dumps({"folder": str(kept), "seconds": SECONDS})}
    group = Group(ARCHIVE, 1, own, folder / "archive.log")
    group.start()
    try:
        yield group
    finally:
        group.stop()


def _await_kept(session: Session, kept: Path, group: Group) -> None:
    """Wait until the archive has what there is now, messages and books."""
    since_ms = now_ms()
    _await_messages(session, kept, group)
    while not any(int(moment.name) > since_ms for moment in moments(kept)[-1:]):
        _look(group)


def _await_messages(session: Session, kept: Path, group: Group) -> None:
    ends, deadline = last_offsets(session.places.kafka, BY_NAME), time.monotonic() + WAIT_SECONDS
    while any(_next(kept, topic).get(partition, 0) <= last for (topic, partition), last in ends.items()):
        if time.monotonic() > deadline:
            msg = f"the archive has not come to the end of the topics within {WAIT_SECONDS:.0f} s"
            raise TimeoutError(msg)
        _look(group)


def _next(kept: Path, topic: str) -> dict[int, int]:
    there = lives_there(kept / TOPICS / topic)
    return next_offsets(there[-1]) if there else {}


def _look(group: Group) -> None:
    group.watch()
    time.sleep(LOOK_SECONDS)


def _bytes_in(folder: Path) -> int:
    """Return what is on the disk for good; what newer moments have whole takes the place of what older ones had."""
    files = (path for room in ("topics", "books") for path in (folder / room).rglob("*.parquet"))
    return sum(path.stat().st_size for path in files if not path.name.startswith("treasury."))
