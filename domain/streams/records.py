"""Time and order in a stream, and the shape of a state machine that lives on one.

Stream time is the time a record entered its topic, in epoch milliseconds: the one axis that all topics share, whatever the
messages say about themselves. A source tells how far it has come by a *watermark*: every record of it with
`at_ms < watermark_ms` has been handed on. Where streams meet, records are released in the order (at_ms, source, offset) up
to the smallest watermark, so the order depends on the data alone and never on who was read first.

A state machine is handed one *instant* at a time, that is all records of one millisecond together, so what it answers
does not depend on how the stream was cut into batches.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from domain.streams.gauges import Gauge

FOREVER_MS = 2**62
"""The watermark of a source that has ended."""

T = TypeVar("T")
In = TypeVar("In")
Made_co = TypeVar("Made_co", covariant=True)

Snapshot = tuple[Any, ...]
"""State as tuples, dicts and numbers: what is in it only its owner knows, which takes it back under the same version."""


class Record(NamedTuple, Generic[T]):
    """One value with its coordinates; `source` is `topic/partition`, or `step/shard` for what a step made."""

    at_ms: int
    source: str
    offset: int
    value: T


class Progress(NamedTuple, Generic[T]):
    """What a source hands on: some records in order, perhaps none, how far it has come, and what it measures of itself."""

    source: str
    watermark_ms: int
    records: Sequence[Record[T]]
    gauges: Sequence[Gauge] = ()


class Machine(Protocol[In, Made_co]):
    """A pure state machine: no I/O, no clock; time comes in with the records."""

    def apply(self, at_ms: int, records: Sequence[Record[In]]) -> Iterable[Made_co]:
        """Take all records of one instant; return what follows from them, in order."""
        ...

    def wake_at_ms(self) -> int | None:
        """When it wants to be woken next if nothing comes, or None."""
        ...

    def wake(self, at_ms: int) -> Iterable[Made_co]:
        """The time it asked for has come, before any record of that instant."""
        ...

    def gauges(self) -> Mapping[str, int]:
        """What a person should be able to see of its state, by name; cheap, since it is asked every second."""
        ...

    def snapshot(self) -> Snapshot:
        """Its whole state, not shared with what it goes on changing."""
        ...


class RawMessage(NamedTuple):
    """A message as the broker gave it; `at_ms` is its timestamp there."""

    offset: int
    at_ms: int
    key: bytes | None
    value: bytes


class RawBatch(NamedTuple):
    """Messages of one partition in offset order, perhaps none, and how far the partition has been read."""

    topic: str
    partition: int
    watermark_ms: int
    messages: Sequence[RawMessage]


class Outgoing(NamedTuple):
    """A message on its way to a topic; `key` decides its partition, and what a compacted topic keeps."""

    topic: str
    at_ms: int
    key: bytes | None
    value: bytes


new = tuple.__new__
"""`new(Record, (at_ms, source, offset, value))` is `Record(at_ms, source, offset, value)`, without the function in Python that
every NamedTuple has for it: for the few places that make several of each message. It checks nothing."""


def source_name(topic: str, partition: int) -> str:
    """Return how a partition is called wherever streams meet."""
    return f"{topic}/{partition}"


def shard_names(step: str, count: int) -> list[str]:
    """Return the keys of a step's state; the count is fixed for the life of a recovery store."""
    return [f"{step}-{index:02d}" for index in range(count)]
