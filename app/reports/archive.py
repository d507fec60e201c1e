"""What an archive that goes on has: how far each partition is kept, until when everything is, and what it takes on the disk."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from domain.errors import ConfigError
from domain.times import text_of
from sinks.archive.days import closed_days, messages_since
from sinks.archive.lives import TOPICS, files, lives_there
from sinks.archive.moments import OF_BATCHES, dotted, moments
from sinks.archive.parquet import duck
from sinks.archive.reading import is_archive

_TRADES = r"SELECT count(*) FROM read_parquet(?) WHERE template LIKE 'USER\_%' ESCAPE '\' AND relation IS NULL"


def archive_report(archive: Path) -> dict[str, Any]:
    """Return one report, without reading more than names, sizes and the headers of transactions; ConfigError when it is none."""
    if not is_archive(archive):
        msg = f"{archive} is no archive that goes on; name the folder that this keeps: ballast run archive"
        raise ConfigError(msg)
    there = moments(archive)
    partitions = [one for topic in sorted((archive / TOPICS).glob("*")) for one in _partitions(topic)]
    topics_bytes = _size([*(archive / TOPICS).rglob("*.parquet")])
    books_bytes = _size([path for kept in OF_BATCHES for moment in there for path in moment.glob(f"{dotted(kept)}.parquet")])
    trades = _trades(there)
    return {
        "folder": str(archive),
        "moment": _time_of(there[-1]) if there else None,
        "closed": max(closed_days(archive), default=None),
        "messages_since": messages_since(archive),
        "topics_bytes": topics_bytes,
        "books_bytes": books_bytes,
        "trades": trades,
        "bytes_per_trade": round((topics_bytes + books_bytes) / trades) if trades else None,
        "partitions": partitions,
    }


def _partitions(topic: Path) -> Iterator[dict[str, Any]]:
    """Yield what the newest life of a topic has of each partition; earlier lives are counted."""
    lives = lives_there(topic)
    for partition, found in groupby(files(lives[-1]) if lives else (), lambda one: one[0].partition):
        names, paths = zip(*found, strict=True)
        yield {
            "topic": topic.name,
            "partition": partition,
            "first": names[0].first,
            "last": max(name.last for name in names),
            "days": len({path.parent.name for path in paths}),
            "files": len(paths),
            "bytes": _size(paths),
            "lives": len(lives),
        }


def _size(paths: Sequence[Path]) -> int:
    return sum(path.stat().st_size for path in paths)


def _time_of(moment: Path) -> str:
    return text_of(int(moment.name.rpartition("-")[2]))


def _trades(there: Sequence[Path]) -> int:
    paths = [str(path) for moment in there for path in moment.glob("ledger.tx.parquet")]
    with TemporaryDirectory(prefix="ballast-") as scratch, duck(Path(scratch)) as opened:
        try:
            found = opened.execute(_TRADES, [paths]).fetchone() if paths else None
        except duckdb.Error as error:
            msg = f"{there[0].parents[1]} cannot be read as Parquet: {str(error).splitlines()[0]}; bring it back as it was"
            raise ConfigError(msg) from error
    return int(found[0]) if found else 0
