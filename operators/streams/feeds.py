"""Feeds: streams that know what they are made of, read from topics, joined, and run through machines.

A topic is read once, what could be read apart from what could not. A feed carries the names of all its sources with it, so
whoever merges it by stream time waits for exactly those: a name too few would be a crash, a name too many a flow that waits
for ever in silence.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar, cast

import bytewax.operators as op
from bytewax.dataflow import Stream

from domain.errors import Rejection
from domain.messages.fields import Message
from domain.streams.records import Progress, RawBatch, Record, new, source_name
from domain.topics import Topic
from operators.streams.decode import decoder

T = TypeVar("T")
U = TypeVar("U")
M = TypeVar("M", bound=Message)


class Feed(NamedTuple, Generic[T]):
    """Progress of some sources, and their names: complete by construction."""

    stream: Stream[Progress[T]]
    sources: tuple[str, ...]


class Raw(NamedTuple):
    """Undecoded batches of some topics, and all partitions that they come from; `name` is that of the step they came in by."""

    name: str
    stream: Stream[RawBatch]
    partitions: Sequence[tuple[str, int]]


class Read(NamedTuple, Generic[T]):
    """What could be read of a topic, and what could not."""

    good: Feed[T]
    bad: Stream[Record[Rejection]]


def read(raw: Raw, topic: Topic[M]) -> Read[M]:
    """Read one of the topics in `raw`."""
    return read_as(raw, topic, lambda message: message)


def read_as(
    raw: Raw, topic: Topic[M], convert: Callable[[M], T], quick: Callable[[bytes, int], T | None] | None = None
) -> Read[T]:
    """Read a topic and make of each message what `convert` makes of it, or `quick` where it can (see `decoder`)."""
    decode = decoder(topic, convert, quick)
    sources = tuple(source_name(name, partition) for name, partition in raw.partitions if name == topic.name)

    def decoded(batches: list[RawBatch]) -> list[Progress[T] | Record[Rejection]]:
        return [item for batch in batches if batch.topic == topic.name for item in decode(batch)]

    name = f"{raw.name}_{topic.name.replace('.', '_')}"
    apart = op.branch(f"{name}_apart", op.flat_map_batch(f"{name}_read", raw.stream, decoded), _is_progress)
    good, bad = cast("Stream[Progress[T]]", apart.trues), cast("Stream[Record[Rejection]]", apart.falses)
    return Read(Feed(good, sources), bad)


def _is_progress(item: Any) -> bool:
    return isinstance(item, Progress)


def together(step_id: str, *feeds: Feed[Any]) -> Feed[Any]:
    """Join feeds into one, made of the sources of all."""
    sources = tuple(source for feed in feeds for source in feed.sources)
    return Feed(op.merge(step_id, *(feed.stream for feed in feeds)), sources)


def only(step_id: str, feed: Feed[Any], kind: type[U]) -> Feed[U]:
    """Keep the values of one kind, and every watermark: what a machine decides on should not hold what it ignores."""

    def keep(progress: Progress[Any]) -> Progress[U]:
        return progress._replace(records=[record for record in progress.records if isinstance(record.value, kind)])

    return Feed(op.map(step_id, feed.stream, keep), feed.sources)


def remade(step_id: str, feed: Feed[T], make: Callable[[Record[T]], U | None]) -> Feed[U]:
    """Replace each value by what `make` makes of its record; None leaves the record out."""

    def remake(progress: Progress[T]) -> Progress[U]:
        records: list[Record[U]] = []
        for record in progress.records:
            value = make(record)
            if value is not None:
                records.append(new(Record, (record.at_ms, record.source, record.offset, value)))
        return Progress(progress.source, progress.watermark_ms, records)

    return Feed(op.map(step_id, feed.stream, remake), feed.sources)
