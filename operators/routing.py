"""Who gets what: picks values out of a stream of progress, spreads it over shards, or gathers it on one.

A watermark goes to every shard, also when it brings no record: a shard that hears nothing would hold back what it has.
"""

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import bytewax.operators as op
from bytewax.dataflow import Stream, operator
from bytewax.operators import KeyedStream

from domain.errors import Rejection
from domain.streams import Progress, Record


@operator
def without_rejections(step_id: str, up: Stream[Progress]) -> Stream[Progress]:
    """The same progress with only the records that could be read."""
    return op.map("good", up, lambda progress: keep(progress, lambda value: not isinstance(value, Rejection)))


@operator
def values_of(step_id: str, up: Stream[Progress], kinds: tuple[type, ...]) -> Stream[Record]:
    """The records whose value is of one of the kinds, one by one, for sinks."""
    return op.flat_map_batch(
        "values", up, lambda batch: [r for progress in batch for r in progress.records if isinstance(r.value, kinds)]
    )


@operator
def spread(step_id: str, up: Stream[Progress], shards: list[str], key: Callable[[Any], str]) -> KeyedStream[Progress]:
    """Spread records over shards by a hash of their key; every shard gets every watermark."""
    count = len(shards)

    def split(progress: Progress) -> Iterable[tuple[str, Progress]]:
        parts: list[list[Record]] = [[] for _ in shards]
        for record in progress.records:
            parts[crc32(key(record.value).encode()) % count].append(record)
        return [(shard, progress._replace(records=part)) for shard, part in zip(shards, parts, strict=True)]

    return op.flat_map("split", up, split)


@operator
def gather(step_id: str, up: Stream[Progress], shard: str) -> KeyedStream[Progress]:
    """Send everything to one shard."""
    return op.map("to", up, lambda progress: (shard, progress))


@operator
def ungrouped(step_id: str, up: KeyedStream[Progress]) -> Stream[Progress]:
    """The progress without the shard it came from, which its source name tells anyway."""
    return op.map("values", up, lambda item: item[1])


def keep(progress: Progress, wanted: Callable[[Any], bool]) -> Progress:
    """The same progress with only the records whose value is wanted."""
    return progress._replace(records=[record for record in progress.records if wanted(record.value)])


@operator
def only(step_id: str, up: Stream[Progress], kind: type) -> Stream[Progress]:
    """The same progress with only the values of one kind."""
    return op.map("kind", up, lambda progress: keep(progress, lambda value: isinstance(value, kind)))


@operator
def remade(step_id: str, up: Stream[Progress], make: Callable[[Record], Any]) -> Stream[Progress]:
    """The same progress with each value replaced by what `make` makes of its record; None leaves the record out."""

    def remake(progress: Progress) -> Progress:
        made = ((record, make(record)) for record in progress.records)
        return progress._replace(
            records=[Record(r.at_ms, r.source, r.offset, value) for r, value in made if value is not None]
        )

    return op.map("remake", up, remake)
