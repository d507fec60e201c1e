"""Runs the treasury's flow over recorded topics in memory: any batch size, any number of workers, with crashes and restarts."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource

from app.replay.replay import memory_edges
from connectors.recorded import Recorded, RecordedSource
from domain.ledger.accounts import CHART, TREASURY_SHARD
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.outbox.memory import MemoryReservations
from domain.streams.records import Outgoing
from domain.topics import TOPIC_OF, Topic
from domain.treasury.policy import TreasuryPolicy
from flows import execution, ledger, treasury
from flows.edges import Edges
from operators.ledger import at_once
from tests.flows.runs import run_built, tape
from tests.words import START_MS

Build = Callable[[Edges, treasury.Setup], Dataflow]


class Told(NamedTuple):
    """What a run said, kept and booked."""

    outgoing: list[Outgoing]
    kept: list[Message]
    ledger: MemoryLedger
    reservations: MemoryReservations


class ListRecords:
    """Keeps what it is given, in a list."""

    def __init__(self, kept: list[Message]) -> None:
        self._kept = kept

    def record(self, messages: Sequence[Message]) -> None:
        """Append the messages."""
        self._kept.extend(messages)


def recorded(said: Iterable[tuple[int, Message]]) -> Recorded:
    """Tapes of the topics that the flow reads, of facts with their times after the start."""
    facts: dict[str, list[tuple[int, Message | bytes]]] = defaultdict(list)
    for at_ms, fact in said:
        facts[TOPIC_OF[type(fact)].name].append((at_ms, fact))
    return {(topic.name, 0): tape(facts[topic.name]) for topic in treasury.INPUTS}


def flow_of(
    tapes: Recorded,
    policy: TreasuryPolicy,
    flow: Build = treasury.flow,
    told: Told | None = None,
    batch_size: int = 100,
    crash_at: int | None = None,
) -> Dataflow:
    """Build the flow over tapes, with books, records and reservations in memory, and providers that say nothing."""
    told = told or fresh()

    def source(topics: Sequence[Topic[Any]], at_most: int | None) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: one for key, one in tapes.items() if key[0] in names}, batch_size, crash_at)

    edges = replace(memory_edges(tapes, told.outgoing, batch_size), source=source)
    nobody = execution.Setup(lambda: told.reservations, TestingSource([]))
    books = ledger.Setup(TREASURY_SHARD, lambda: at_once(told.ledger), (), 1)
    return flow(edges, treasury.Setup(policy, books, lambda: ListRecords(told.kept), nobody))


def fresh() -> Told:
    """A run that has said nothing."""
    return Told([], [], MemoryLedger(CHART), MemoryReservations(lambda: START_MS))


def run(
    tapes: Recorded,
    policy: TreasuryPolicy,
    flow: Build = treasury.flow,
    *,
    told: Told | None = None,
    batch_size: int = 100,
    workers: int = 1,
    crash_at: int | None = None,
    recovery: Path | None = None,
) -> Told:
    """Run the flow to the end of its tapes, or to where a tape crashes; `recovery` is an empty folder, or one to go on from."""
    told = told or fresh()
    built = flow_of(tapes, policy, flow, told, batch_size, crash_at)
    run_built(built, workers, recovery)
    return told


def said_on(told: Told, topic: Topic[Any]) -> list[Any]:
    """The messages that a run put on a topic, read back, in order."""
    return [topic.model.model_validate_json(one.value) for one in told.outgoing if one.topic == topic.name]
