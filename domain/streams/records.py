"""Time and order in a stream, and the shape of a state machine that lives on one.

Stream time is the time a record entered its topic, in epoch milliseconds: the one axis that all topics share, whatever the
messages say about themselves. A source tells how far it has come by a *watermark*: every record of it with
`at_ms < watermark_ms` has been handed on. Where streams meet, records are released in the order (at_ms, source, offset) up
to the smallest watermark, so the order depends on the data alone and never on who was read first.

A state machine is handed one *instant* at a time, that is all records of one millisecond together, so what it answers
does not depend on how the stream was cut into batches.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Protocol

FOREVER_MS = 2**62
"""The watermark of a source that has ended."""

LATEST_MS = 2**42
"""The year 2109, the latest time that a message can tell."""


class Record(NamedTuple):
    """One value with its coordinates; `source` is `topic/partition`, or `step/shard` for what a step made."""

    at_ms: int
    source: str
    offset: int
    value: Any


class Progress(NamedTuple):
    """What a source hands on: some records in order, perhaps none, and how far it has come."""

    source: str
    watermark_ms: int
    records: Sequence[Record]


class Machine(Protocol):
    """A pure state machine: no I/O, no clock; time comes in with the records.

    `version` names the shape of its snapshot; a start over a snapshot of another version is refused.
    """

    version: int

    def apply(self, at_ms: int, records: Sequence[Record]) -> Iterable[Any]:
        """Take all records of one instant; return what follows from them, in order."""
        ...

    def wake_at_ms(self) -> int | None:
        """When it wants to be woken next if nothing comes, or None."""
        ...

    def wake(self, at_ms: int) -> Iterable[Any]:
        """The time it asked for has come, before any record of that instant."""
        ...

    def snapshot(self) -> tuple[Any, ...]:
        """Its whole state as tuples, dicts and numbers, not shared with what it goes on changing."""
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


def source_name(topic: str, partition: int) -> str:
    """How a partition is called wherever streams meet."""
    return f"{topic}/{partition}"


def shard_names(step: str, count: int) -> list[str]:
    """The keys of a step's state; the count is fixed for the life of a recovery store."""
    return [f"{step}-{index:02d}" for index in range(count)]


class Outgoing(NamedTuple):
    """A message on its way to a topic; `key` decides its partition, and what a compacted topic keeps."""

    topic: str
    at_ms: int
    key: bytes | None
    value: bytes
