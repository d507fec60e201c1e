"""What every flow is joined to: where messages come from and go to.

A worker joins flows to Kafka and Postgres, a replay and the tests to lists in memory; the builders do not know. What a flow
needs beside its edges (a ledger, a policy, a store of reservations) is its `Setup`, which stands beside its builder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source
from bytewax.outputs import Sink

from domain.errors import Rejection
from domain.streams.gauges import Gauge
from domain.streams.records import Outgoing, RawBatch, Record
from domain.topics import ALERTS, LEGS_REFUSED, Topic
from operators.streams.feeds import Feed, Raw, Read
from operators.streams.publish import Makers, measured, publish, refused

NOTICES = frozenset((ALERTS.name, LEGS_REFUSED.name))
"""The topics whose messages are kept beside for people to ask."""


class Told(NamedTuple):
    """What a flow tells the outside: messages, what could not be read of its topics, what its steps measure of themselves."""

    messages: Stream[Outgoing]
    unreadable: tuple[Stream[Record[Rejection]], ...]
    gauges: Stream[Gauge]


@dataclass(frozen=True)
class Edges:
    """`partitions` lists those of all topics; the rest are where a flow's streams begin and end.

    `source` takes topics, and how many messages a batch may have at most, if that matters.
    """

    partitions: Sequence[tuple[str, int]]
    source: Callable[[Sequence[Topic[Any]], int | None], Source[RawBatch]]
    outgoing: Sink[tuple[str, Outgoing]]
    quarantine: Sink[tuple[str, Rejection]]
    gauges: Sink[tuple[str, Gauge]]
    notices: Sink[tuple[str, Outgoing]]

    def read(self, step_id: str, dataflow: Dataflow, topics: Sequence[Topic[Any]], at_most: int | None = None) -> Raw:
        """Begin a dataflow with some topics, which share one horizon of stream time.

        They are read in batches of `at_most` messages: few, where others in the same process should not wait for them long.
        """
        names = {topic.name for topic in topics}
        partitions = [(name, partition) for name, partition in self.partitions if name in names]
        return Raw(step_id, op.input(step_id, dataflow, self.source(topics, at_most)), partitions)

    def tell(self, *told: Told) -> None:
        """End a dataflow with what its flows tell."""
        unreadable = op.merge("unreadable", *(stream for one in told for stream in one.unreadable))
        messages = op.merge("messages", *(one.messages for one in told), op.map("quarantined", unreadable, refused))
        gauges = op.merge("gauges", *(one.gauges for one in told))
        # By its topic, so that one producer has all of a topic, and the order in each partition is kept.
        op.output("to_topics", op.map("to_producer", messages, lambda message: (message.topic, message)), self.outgoing)
        op.output("to_notices", op.flat_map_batch("noticed", messages, _noticed), self.notices)
        op.output("to_quarantine", op.map("to_keeper", unreadable, lambda r: ("quarantine", r.value)), self.quarantine)
        op.output("to_gauges", op.map("to_board", gauges, lambda gauge: ("gauges", gauge)), self.gauges)


def _noticed(messages: list[Outgoing]) -> list[tuple[str, Outgoing]]:
    return [("notices", message) for message in messages if message.topic in NOTICES]


def tell(name: str, feeds: Sequence[Feed[Any]], reads: Sequence[Read[Any]], makers: Makers, *more: Stream[Outgoing]) -> Told:
    """Return what a flow tells: what the values of its feeds say, what could not be read, and what the feeds measure."""
    said = op.merge(f"{name}_says", *(feed.stream for feed in feeds))
    messages = op.merge(f"{name}_messages", publish(f"{name}_tells", said, makers), *more)
    return Told(messages, tuple(one.bad for one in reads), measured(f"{name}_measures", said))
