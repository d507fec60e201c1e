"""Where the messages of a topic are in an archive that goes on: a folder for each life of the topic, and what is there already.

An offset says something of one life of a topic only: one that was deleted and made anew, or is on another broker, begins at
0 again. The broker gives each life an id of its own, so each has a folder of its own, with a number in front by which the
newest is found. A file says in its name which partition it is of and from which offset to which; it is there whole or not
at all, and files of a partition are made in the order of their offsets. So the names alone say how far a partition is kept.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from domain.errors import AwayError, ConfigError
from domain.streams.records import source_name

TOPICS = "topics"
_IN_NAMES = str.maketrans("+/", "-_")
"""Ids come in either spelling of base64, and a slash is none in the name of a folder."""


class Named(NamedTuple):
    """What the name of a file says of it; that of a moment has the times of the moments that it was made of."""

    partition: int
    first: int
    last: int


def lives(folder: Path, topic_ids: Mapping[str, str | None]) -> dict[str, Path]:
    """Return where the present life of each topic is kept, there already or not; AwayError when a broker tells no id."""
    return {topic: _life(folder / TOPICS / topic, topic_id) for topic, topic_id in topic_ids.items()}


def _life(topic: Path, topic_id: str | None) -> Path:
    if topic_id is None:
        msg = (
            f"the broker does not tell the id of the topic {topic.name}, without which an archive could mix two of that name"
        )
        raise AwayError(msg, "Kafka")
    name, there = topic_id.translate(_IN_NAMES), lives_there(topic)
    number = max((number_of(path) for path in there), default=0) + 1
    return next((path for path in there if path.name.partition("-")[2] == name), topic / f"{number:04d}-{name}")


def lives_there(topic: Path) -> list[Path]:
    """Return the folders of all lives of a topic, the newest last."""
    return sorted(topic.glob("*-*"), key=number_of)


def number_of(life: Path) -> int:
    """Return which life of its topic a folder is of."""
    return int(life.name.partition("-")[0])


def files(life: Path) -> list[tuple[Named, Path]]:
    """Return the files of a life that count, with what their names say, in the order of partitions and offsets."""
    return outermost(one for day in life.iterdir() for one in found_in(day))[0] if life.exists() else []


def found_in(day: Path) -> Iterator[tuple[Named, Path]]:
    """Yield the files of a day of a life, with what their names say."""
    for path in day.glob("*.parquet"):
        try:
            yield Named(*map(int, path.stem.split("-"))), path
        except (ValueError, TypeError) as error:
            raise stray(path) from error


def stray(path: Path) -> ConfigError:
    """Return what is said of a file or a folder that no archive has put there."""
    return ConfigError(f"{path} is nothing that an archive has: its name says no range; take it away, and ask again")


def outermost(found: Iterable[tuple[Named, Path]]) -> tuple[list[tuple[Named, Path]], list[tuple[Named, Path]]]:
    """Return what counts, in order, and what does not, since it lies within the range of another that was made of it."""
    counts, within = list[tuple[Named, Path]](), list[tuple[Named, Path]]()
    ends: dict[int, int] = {}
    for name, path in sorted(found, key=lambda one: (one[0].partition, one[0].first, -one[0].last)):
        (within if name.last <= ends.get(name.partition, -1) else counts).append((name, path))
        ends[name.partition] = max(name.last, ends.get(name.partition, -1))
    return counts, within


def next_offsets(life: Path) -> dict[int, int]:
    """Return the first offset of each partition that is not kept yet, of those of which something is."""
    ends: dict[int, int] = {}
    for name, _ in files(life):
        ends[name.partition] = max(name.last + 1, ends.get(name.partition, 0))
    return ends


def places(found: Mapping[str, Path]) -> dict[str, int]:
    """Return from where each partition is to be read, by `topic/partition`; one of which nothing is kept is left out."""
    return {
        source_name(topic, partition): offset
        for topic, life in found.items()
        for partition, offset in next_offsets(life).items()
    }
