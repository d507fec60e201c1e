"""Runs the settlement's flow over recorded topics in memory: any batch size, any number of workers, with crashes and restarts."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow

from app.replay.replay import memory_edges, memory_settlement
from app.replay.settlement import MemoryRecords
from connectors.recorded import Recorded, RecordedSource
from domain.ledger.accounts import CHART
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.settlement.records import Put
from domain.streams.records import Outgoing
from domain.topics import TOPIC_OF, Topic
from flows import settlement
from tests.flows.runs import run_built, tape


class Told(NamedTuple):
    """What a run said, refused and booked, and on which terms."""

    outgoing: list[Outgoing]
    refused: list[Put]
    ledger: MemoryLedger
    terms: list[Message]


def fresh() -> Told:
    """A run that has said nothing."""
    return Told([], [], MemoryLedger(CHART), [])


def recorded(said: Iterable[tuple[int, Message]]) -> Recorded:
    """Tapes of the topics that the flow reads, of words with their times after the start."""
    words: dict[str, list[tuple[int, Message | bytes]]] = defaultdict(list)
    for at_ms, word in said:
        words[TOPIC_OF[type(word)].name].append((at_ms, word))
    return {(topic.name, 0): tape(words[topic.name]) for topic in settlement.INPUTS}


def in_memory(told: Told) -> settlement.Setup:
    """Books and records in memory, which go on from what a run has told."""
    return memory_settlement(told.ledger, MemoryRecords(told.refused, told.terms))


def flow_over(tapes: Recorded, own: settlement.Setup, told: Told, batch_size: int, crash_at: int | None) -> Dataflow:
    """Build the flow over tapes."""

    def source(topics: Sequence[Topic[Any]], _at_most: int | None) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: one for key, one in tapes.items() if key[0] in names}, batch_size, crash_at)

    edges = replace(memory_edges(tapes, told.outgoing, batch_size), source=source)
    return settlement.flow(edges, own)


def run(
    tapes: Recorded,
    *,
    told: Told | None = None,
    batch_size: int = 100,
    workers: int = 1,
    crash_at: int | None = None,
    recovery: Path | None = None,
) -> Told:
    """Run the flow to the end of its tapes, or to where a tape crashes; `recovery` is an empty folder, or one to go on from."""
    told = told or fresh()
    built = flow_over(tapes, in_memory(told), told, batch_size, crash_at)
    run_built(built, workers, recovery)
    return told
