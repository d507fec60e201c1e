"""Days of an archive that are over: many small files become few, and a manifest binds them.

A file that is made of others has their whole range in its name. So whoever is killed between making it and taking the others
away leaves no row twice: what lies within the range of another counts no more, and is swept out with the next start. A day
that has its manifest is closed, and nothing in it is touched again. What still comes with a time in it, as from a clock that
was set back, stands beside it and is bound by no manifest.

Each manifest has the digest of the one before, so one that is gone from between two is missed.

Who keeps passing facts (prices, positions and the like) for some days only has the oldest taken away, those of closed days,
from the beginning of each partition on. The manifests stay and go on binding the books; `forgotten.json` says from which day on
they bind such messages, too.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any, NamedTuple

from domain.errors import ConfigError
from domain.times import datetime_of
from domain.topics import BY_NAME
from sinks.archive.disk import moved, written
from sinks.archive.lives import TOPICS, Named, files, found_in, outermost
from sinks.archive.manifest import ARCHIVE, Filed, about, compare, facts_in, filed
from sinks.archive.moments import BOOKS, OF_BATCHES, dotted, is_whole, spans
from sinks.archive.parquet import Duck, holes_in, merge_parquet, rows_in
from sinks.archive.snapshot import add_up
from sinks.archive.tables import MESSAGES

DAYS, FORGOTTEN = "days", "forgotten.json"
AGAIN = "bring it back as it was"

Run = list[tuple[Named, Path]]


class Day(NamedTuple):
    """A day of an archive, by its date, and a folder on the same disk in which files are made."""

    archive: Path
    name: str
    unfinished: Path


def close_days(opened: Duck, archive: Path, unfinished: Path, until_ms: int) -> None:
    """Close every day that is over when all before `until_ms` is kept, the oldest first."""
    over = datetime_of(until_ms).date().isoformat() if until_ms >= 0 else ""
    for name in sorted(days_there(archive) - closed_days(archive)):
        if name < over and not any(is_whole(path) for _, path in spans(archive / BOOKS / name)):
            close_day(opened, Day(archive, name, unfinished))


def days_there(archive: Path) -> set[str]:
    """Return the dates of which something is kept."""
    return {path.name for path in (*archive.glob(f"{TOPICS}/*/*/*"), *archive.glob(f"{BOOKS}/*"))}


def closed_days(archive: Path) -> set[str]:
    """Return the dates of days that have a manifest."""
    return {path.stem for path in (archive / DAYS).glob("*.json")}


def close_day(opened: Duck, day: Day) -> None:
    """Make few files of many, and then the manifest; a kill in between leaves a day that is closed the next time."""
    for folder in sorted(day.archive.glob(f"{TOPICS}/*/*/{day.name}")):
        for run in runs(opened, outermost(found_in(folder))[0]):
            _merge_messages(opened, day, run)
    _merge_moments(opened, day)
    sweep(day.archive)
    _bind(opened, day)


def sweep(archive: Path) -> None:
    """Take away what counts no more, since it is in another file or moment."""
    for folder in archive.glob(f"{TOPICS}/*/*/*"):
        for _, path in outermost(found_in(folder))[1]:
            path.unlink()
    for folder in archive.glob(f"{BOOKS}/*"):
        for _, path in outermost(spans(folder))[1]:
            shutil.rmtree(path)


def runs(opened: Duck, files: Run) -> Iterator[Run]:
    """Yield files that follow each other, in their order; where others of another day are in between a new run begins."""
    run: Run = []
    for name, path in files:
        if run and not (run[-1][0].partition == name.partition and _follows(opened, run[-1][0].last, name, path)):
            yield run
            run = []
        run.append((name, path))
    if run:
        yield run


def _follows(opened: Duck, last: int, name: Named, path: Path) -> bool:
    return name.first == last + 1 or (last + 1, name.first - 1) in holes_in(opened, path)


def _merge_messages(opened: Duck, day: Day, run: Run) -> None:
    if len(run) > 1:
        (first, path), (last, _) = run[0], run[-1]
        name = f"{first.partition}-{first.first}-{last.last}.parquet"
        holes = [hole for _, one in run for hole in holes_in(opened, one)]
        merge_parquet(opened, MESSAGES, [one for _, one in run], day.unfinished / name, holes)
        moved(day.unfinished / name, path.parent / name)


def _merge_moments(opened: Duck, day: Day) -> None:
    there = outermost(spans(day.archive / BOOKS / day.name))[0]
    if len(there) < 2:
        return
    beside = day.unfinished / f"{there[0][0].first}-{there[-1][0].last}"
    beside.mkdir()
    for kept in OF_BATCHES:
        name = f"{dotted(kept)}.parquet"
        files = [path / name for _, path in there if (path / name).exists()]
        if files:
            merge_parquet(opened, kept, files, beside / name)
    moved(beside, day.archive / BOOKS / day.name / beside.name)


def _bind(opened: Duck, day: Day) -> None:
    """Write the manifest of a day whose files are as they stay."""
    entries = sorted(day.archive.glob(f"{BOOKS}/{day.name}/*/ledger.entry.parquet"))
    before = sorted(closed_days(day.archive))
    facts = {
        "day": day.name,
        "database": about(day.archive)["database"],
        "before": digest_of(day.archive, before[-1]) if before else None,
        "files": [one._asdict() for one in _filed(opened, day)],
        "sums": add_up(opened, entries),
    }
    beside = day.unfinished / f"{day.name}.json"
    beside.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    moved(beside, day.archive / DAYS / beside.name)


def _filed(opened: Duck, day: Day) -> Iterator[Filed]:
    for folder in sorted(day.archive.glob(f"{TOPICS}/*/*/{day.name}")):
        for name, path in sorted(found_in(folder)):
            yield filed(day.archive, path, rows_in(opened, path), name.first, name.last, holes_in(opened, path))
    for path in sorted(day.archive.glob(f"{BOOKS}/{day.name}/*/*.parquet")):
        query = "SELECT count(*), min(batch_id), max(batch_id) FROM read_parquet(?)"
        found = opened.execute(query, [str(path)]).fetchone()
        assert found is not None, "a count is a row"  # noqa: S101
        rows, first, last = found
        yield filed(day.archive, path, rows, first, last, ())


def forget_days(archive: Path, keep_days: int, until_ms: int) -> None:
    """Take away messages of closed days that are older than so many days before this time, of topics that a broker forgets, too.
    The last file of a partition stays, since it says how far that is kept."""
    if until_ms < 0:
        return
    since = (datetime_of(until_ms).date() - timedelta(days=keep_days)).isoformat()
    closed = closed_days(archive)
    old = [
        path for life in archive.glob(f"{TOPICS}/*/*") if _may_go(life.parent.name) for path in _oldest(life, since, closed)
    ]
    if old:
        written(archive / FORGOTTEN, {"messages_since": since})
        for path in old:
            path.unlink()
            with suppress(OSError):  # it has other files
                path.parent.rmdir()


def _may_go(topic: str) -> bool:
    """Whether a topic is one of facts that pass; what is booked follows from the others, and could not be judged without them."""
    return topic in BY_NAME and BY_NAME[topic].retention_days >= 0


def _oldest(life: Path, since: str, closed: Collection[str]) -> Iterator[Path]:
    """Yield what a life begins with, partition by partition, up to the first file that is of a later day, or the last one."""
    for _, found in groupby(files(life), lambda one: one[0].partition):
        paths = [path for _, path in found]
        yield from takewhile(lambda path: path.parent.name < since and path.parent.name in closed, paths[:-1])


def messages_since(archive: Path) -> str | None:
    """Return the day from which on messages are kept, None when none were taken away."""
    path = archive / FORGOTTEN
    return str(facts_in(path, ("messages_since",), AGAIN)["messages_since"]) if path.exists() else None


def digest_of(archive: Path, day: str) -> str:
    """Return the digest of a day's manifest."""
    return sha256((archive / DAYS / f"{day}.json").read_bytes()).hexdigest()


def _manifest(path: Path) -> Mapping[str, Any]:
    told = facts_in(path, ("day", "database", "before", "files"), AGAIN)
    if not all(isinstance(one, dict) and one.keys() >= set(Filed._fields) for one in told["files"]):
        msg = f"{path} does not say of each file what a manifest says; {AGAIN}"
        raise ConfigError(msg)
    return told


def check_days(archive: Path) -> str | None:
    """See that all closed days are as their manifests say, and return the last; ConfigError names the file that is not."""
    closed, since, ours = sorted(closed_days(archive)), messages_since(archive) or "", about(archive)["database"]
    for number, name in enumerate(closed):
        path = archive / DAYS / f"{name}.json"
        told = _manifest(path)
        if told["database"] != ours:
            msg = f"{path} is of another ledger than {ARCHIVE}: two archives are in one folder; take out what is not of it"
            raise ConfigError(msg)
        if number and told["before"] != digest_of(archive, closed[number - 1]):
            msg = f"{path} follows another manifest than {closed[number - 1]}.json: one was changed, or is gone; {AGAIN}"
            raise ConfigError(msg)
        for one in told["files"]:
            is_forgotten = name < since and one["path"].startswith(f"{TOPICS}/") and not (archive / one["path"]).exists()
            if not is_forgotten:
                compare(archive / one["path"], one, path.name, AGAIN)
    return closed[-1] if closed else None
