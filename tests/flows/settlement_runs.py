"""Runs the settlement's flow over recorded topics in memory: any batch size, any number of workers, with crashes and restarts."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow

from app.replay.replay import memory_edges
from connectors.recorded import Recorded, RecordedSource
from domain.ledger.accounts import CHART, SETTLEMENT_SHARD
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.postings.settlement import posting_id
from domain.settlement.answers import Booked, Heard, Word, stands
from domain.settlement.holdings import Holding
from domain.settlement.records import Put
from domain.settlement.trade import Refusal
from domain.streams.records import Outgoing
from domain.templates.settlement import available_of, debt_of, locked_of
from domain.topics import TOPIC_OF, Topic
from flows import ledger, settlement
from operators.ledger import at_once
from tests.flows.runs import run_built, tape


class Told(NamedTuple):
    """What a run said, refused and booked, and on which terms."""

    outgoing: list[Outgoing]
    refused: dict[Put, None]
    ledger: MemoryLedger
    terms: list[Message]


class Records:
    """Keeps what is refused, and terms, in lists."""

    def __init__(self, told: Told) -> None:
        self._told = told

    def refuse(self, refused: Sequence[Put]) -> None:
        """Keep them, each word at each place once."""
        self._told.refused.update(dict.fromkeys(refused))

    def keep(self, terms: Sequence[Message]) -> None:
        """Keep them, each once."""
        self._told.terms.extend(one for one in terms if one not in self._told.terms)


class Books:
    """Asks the books, and what was refused, as they are when the run begins."""

    def __init__(self, told: Told) -> None:
        self._balances = {(one.account, one.currency): one.settled for one in told.ledger.balances()}
        self._booked = {one.id: one for one in told.ledger.transactions()}
        self._refused: dict[Word, list[Put]] = defaultdict(list)
        for put in told.refused:
            self._refused[put.word].append(put)

    def meet(self, words: Sequence[Word]) -> None:
        """Everything is known already."""

    def holdings(self, customer: str) -> Mapping[str, Holding]:
        """What a customer has of each asset."""
        codes = [available_of(customer), locked_of(customer), debt_of(customer)]
        assets = {asset for code, asset in self._balances if code in codes}
        return {asset: Holding(*[abs(self._balances.get((code, asset), 0)) for code in codes]) for asset in assets}

    def booked(self, word: Word) -> Booked | None:
        """What is booked under the name of a word."""
        found = self._booked.get(posting_id(word))
        if found is None:
            return None
        meta = json.loads(found.meta)
        return Booked(Heard(found.source, found.source_offset), meta.get("part", 0), meta.get("hash"))

    def refused(self, word: Word, heard: Heard | None = None) -> Refusal | None:
        """Why this word was refused."""
        return next((put.refusal for put in self._refused.get(word, ()) if stands(put.heard, heard)), None)


def fresh() -> Told:
    """A run that has said nothing."""
    return Told([], {}, MemoryLedger(CHART), [])


def recorded(said: Iterable[tuple[int, Message]]) -> Recorded:
    """Tapes of the topics that the flow reads, of words with their times after the start."""
    words: dict[str, list[tuple[int, Message | bytes]]] = defaultdict(list)
    for at_ms, word in said:
        words[TOPIC_OF[type(word)].name].append((at_ms, word))
    return {(topic.name, 0): tape(words[topic.name]) for topic in settlement.INPUTS}


def in_memory(told: Told) -> settlement.Setup:
    """Books and records in memory, which go on from what a run has told."""
    books = ledger.Setup(SETTLEMENT_SHARD, lambda: at_once(told.ledger), (), 1)
    return settlement.Setup(books, lambda: Books(told), lambda: Records(told))


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
