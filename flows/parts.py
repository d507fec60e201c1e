"""What a flow is joined to: where messages come from and go to, and what it asks for on the way.

A worker joins the flows to Kafka and Postgres, a replay and the tests to lists in memory; the builders do not know.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Stream
from bytewax.inputs import Source
from bytewax.outputs import Sink

from domain.desk import DeskPolicy
from domain.errors import Rejection
from domain.pairing_book import Rule
from domain.streams import Outgoing, Progress, RawBatch
from domain.topics import Topic
from operators.booking import OpenLedger
from operators.recall import Correlated, Memory
from operators.recording import Keep
from operators.reserving import Reservations
from operators.routing import values_of


@dataclass(frozen=True)
class PairingSetup:
    """The pairing rule, its fixed number of shards, what it remembers by itself, and when a waiting leg is too old."""

    rule: Rule
    shards: int
    memory: Memory
    leg_age_max_ms: int


@dataclass(frozen=True)
class Parts:
    """Everything from outside. `partitions` lists those of all topics; the `open_` functions are called by the worker that
    needs the thing, when it first does; `window_ms` is the stream time that one ledger batch may span."""

    partitions: Sequence[tuple[str, int]]
    source: Callable[[Sequence[Topic]], Source[RawBatch]]
    gateway: Source[tuple[str, Any]]
    outgoing: Sink[tuple[str, Outgoing]]
    quarantine: Sink[tuple[str, Rejection]]
    open_ledger: Callable[[], OpenLedger]
    open_history: Callable[[], Correlated]
    open_decisions: Callable[[], Keep]
    open_reservations: Callable[[], Reservations]
    pairing: PairingSetup
    policy: DeskPolicy
    window_ms: int

    def partitions_of(self, topics: Sequence[Topic]) -> list[tuple[str, int]]:
        """The partitions of some topics."""
        names = {topic.name for topic in topics}
        return [(name, partition) for name, partition in self.partitions if name in names]


def output_messages(parts: Parts, outgoing: Stream[Outgoing]) -> None:
    """Send messages to their topics, through one producer so that the order per partition is kept."""
    keyed = op.flat_map_batch("to_producer", outgoing, lambda batch: [("producer", message) for message in batch])
    op.output("to_topics", keyed, parts.outgoing)


def output_unreadable(parts: Parts, unreadable: Stream[Progress]) -> None:
    """Keep what could not be read."""
    refused = values_of("refused_messages", unreadable, (Rejection,))
    keyed = op.map("to_keeper", refused, lambda record: ("quarantine", record.value))
    op.output("to_quarantine", keyed, parts.quarantine)
