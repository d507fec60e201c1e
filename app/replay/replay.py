"""Runs the flows over recorded topics, in memory: no clock, no broker, no database, the same bytes every time.

What the flows would put on topics is written as `<topic>.jsonl`, and the ledger that the run built as
`ledger/transactions.jsonl`, `ledger/entries.jsonl` and `ledger/balances.jsonl`; those of flows that run beside the others stand
in `buffers/` and `settlement/`. Nothing is sent to an exchange or a provider: what they answered then is among the recorded
topics.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, cluster_main, run_main

from app.replay.record import read_recorded
from app.replay.settlement import MemoryBooks, MemoryRecords
from app.settings import Settings
from app.workers.parts import LIABILITY_SHARD, books_of
from connectors.recorded import Recorded, RecordedSource, write_line
from domain.errors import ConfigError
from domain.ledger.accounts import SETTLEMENT_SHARD, TREASURY_SHARD, chart
from domain.ledger.journal import History
from domain.ledger.memory import MemoryLedger
from domain.messages.decisions import Decision
from domain.messages.fields import Message
from domain.outbox.memory import MemoryReservations
from domain.pairing.booked import BookedLegs
from domain.streams.records import Outgoing, RawMessage
from domain.topics import ALL, TOPICS, Topic
from flows import everything, execution, hedging, liability, settlement, treasury
from flows.edges import Edges
from flows.ledger import Setup as Ledger
from operators.ledger import at_once
from operators.recall import Memory
from sinks.memory import ListSink

NO_RECALL, NO_HISTORY = Memory(0, 2**60), History(lambda _: (), lambda _: ())
"""A replay starts from nothing and forgets nothing, so there is nothing to ask for."""


class Replayed(NamedTuple):
    """What came out: messages in the order of their topics, and the ledger."""

    outgoing: list[Outgoing]
    ledger: MemoryLedger


def replay(settings: Settings, recorded: Recorded, batch_size: int = 1000, workers: int = 1) -> Replayed:
    """Run the flows over recorded messages; what comes out is the same for every batch size and number of workers."""
    outgoing: list[Outgoing] = []
    ledger = MemoryLedger(chart(settings.venues, settings.books))
    edges = memory_edges(_of(recorded, everything.INPUTS), outgoing, batch_size)
    _run(everything.replay(edges, memory_liability(settings, ledger), memory_hedging(settings)), workers)
    return Replayed(outgoing, ledger)


def replay_treasury(settings: Settings, recorded: Recorded, batch_size: int = 1000, workers: int = 1) -> Replayed:
    """Run the treasury's flow over recorded messages, with books of its own."""
    outgoing: list[Outgoing] = []
    ledger = MemoryLedger(chart(settings.venues, settings.books))
    edges = memory_edges(_of(recorded, treasury.INPUTS), outgoing, batch_size)
    _run(treasury.replay(edges, memory_treasury(settings, ledger)), workers)
    return Replayed(outgoing, ledger)


def replay_settlement(settings: Settings, recorded: Recorded, batch_size: int = 1000, workers: int = 1) -> Replayed:
    """Run the settlement's flow over recorded messages, with books of its own."""
    outgoing: list[Outgoing] = []
    ledger = MemoryLedger(chart(settings.venues, settings.books))
    edges = memory_edges(_of(recorded, settlement.INPUTS), outgoing, batch_size)
    _run(settlement.flow(edges, memory_settlement(ledger, MemoryRecords([], []))), workers)
    return Replayed(outgoing, ledger)


def _of(recorded: Recorded, topics: Sequence[Topic[Any]]) -> Recorded:
    names = {topic.name for topic in topics}
    return {key: tape for key, tape in recorded.items() if key[0] in names}


def _run(flow: Dataflow, workers: int) -> None:
    if workers == 1:
        run_main(flow)
    else:
        cluster_main(flow, [], 0, worker_count_per_proc=workers)


def memory_edges(recorded: Recorded, outgoing: list[Outgoing], batch_size: int) -> Edges:
    """Return edges that read from tapes and write to a list; what could not be read is kept as a message only."""

    def source(topics: Sequence[Topic[Any]], at_most: int | None) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: tape for key, tape in recorded.items() if key[0] in names}, at_most or batch_size)

    return Edges(sorted(recorded), source, ListSink(outgoing), ListSink([]), ListSink([]), ListSink([]))


def memory_liability(settings: Settings, ledger: MemoryLedger) -> liability.Setup:
    """Return a setup that books in memory.

    Each instant is a ledger batch of its own and no balance is said again, so how the stream is cut does not show. It is all one
    shard, over however many the live ledger is spread: what is owed is the same.
    """
    pairing = settings.pairing
    books = Ledger(LIABILITY_SHARD, lambda: at_once(ledger), watched=(), window_ms=1)
    age_max_ms = pairing.leg_age_max_seconds * 1000
    return liability.Setup(pairing.rule, NO_RECALL, age_max_ms, lambda: NO_HISTORY, BookedLegs(8), [books])


def memory_hedging(settings: Settings) -> hedging.Setup:
    """Return a setup that keeps decisions as messages only."""
    return hedging.Setup(books_of(settings), lambda: _forget)


def _forget(_decisions: Sequence[Decision]) -> None:
    """What was decided is on its topic."""


def memory_treasury(settings: Settings, ledger: MemoryLedger) -> treasury.Setup:
    """Return a setup that books in memory, keeps what is said as messages only, and asks nobody."""
    books = Ledger(TREASURY_SHARD, lambda: at_once(ledger), watched=(), window_ms=1)
    nobody = execution.Setup(lambda: MemoryReservations(lambda: 0), TestingSource([]))
    return treasury.Setup(settings.treasury, books, _NoRecords, nobody)


class _NoRecords:
    def record(self, messages: Sequence[Message]) -> None:
        """What was said is on its topic."""


def memory_settlement(ledger: MemoryLedger, records: MemoryRecords) -> settlement.Setup:
    """Return a setup that books and keeps records in memory, and goes on from what both have."""
    books = Ledger(SETTLEMENT_SHARD, lambda: at_once(ledger), watched=(), window_ms=1)
    return settlement.Setup(books, lambda: MemoryBooks(ledger, records), lambda: records)


def replay_folder(settings: Settings, folder: Path, out: Path, batch_size: int = 1000, workers: int = 1) -> dict[str, int]:
    """Replay the recorded topics of `folder` into `out`; returns how many lines each file got."""
    _keep_apart(folder, out)
    recorded = read_recorded(folder, list(dict.fromkeys((*everything.INPUTS, *treasury.INPUTS, *settlement.INPUTS))))
    replayed = {books: run(settings, recorded, batch_size, workers) for books, run in REPLAYS.items()}
    said = topic_lines(message for one in replayed.values() for message in one.outgoing)
    files: dict[str, Iterable[str]] = {f"{name}.jsonl": lines for name, lines in said.items()}
    for books, kept in replayed.items():
        files |= {f"{books}/{name}.jsonl": map(_json, rows) for name, rows in ledger_rows(kept.ledger).items()}
    return {name: _write(out / name, lines) for name, lines in sorted(files.items())}


REPLAYS = {"ledger": replay, "buffers": replay_treasury, "settlement": replay_settlement}
"""What runs the flows again, by the folder that their books get."""


def _keep_apart(folder: Path, out: Path) -> None:
    """ConfigError when the output would fall among what is read, or over files that no replay has written."""
    if out.resolve() == folder.resolve():
        msg = f"{out} is where the recording is; choose another folder for --out, and nothing of it is written over"
        raise ConfigError(msg)
    known = {*(f"{topic.name}.jsonl" for topic in ALL if topic.direction != "in"), *REPLAYS}
    others = sorted(path.name for path in out.iterdir() if path.name not in known) if out.is_dir() else []
    if others:
        msg = f"{out} has something in it that no replay has written ({others[0]}); choose an empty folder for --out"
        raise ConfigError(msg)


def ledger_rows(ledger: MemoryLedger) -> dict[str, list[dict[str, Any]]]:
    """The books as rows, by the name of their file."""
    return {
        "transactions": ledger.transaction_rows(),
        "entries": ledger.entry_rows(),
        "balances": ledger.balance_rows(),
    }


def topic_lines(outgoing: Iterable[Outgoing]) -> dict[str, list[str]]:
    """Recorded lines by topic, in order of time, key and text: who spoke first within a millisecond does not show."""
    by_topic: dict[str, list[Outgoing]] = defaultdict(list, {t.name: [] for t in TOPICS if t.direction != "in"})
    for message in outgoing:
        by_topic[message.topic].append(message)
    return {topic: _lines(sorted(messages, key=_place)) for topic, messages in by_topic.items()}


def _place(message: Outgoing) -> tuple[int, bytes, bytes]:
    return message.at_ms, message.key or b"", message.value


def _lines(messages: Sequence[Outgoing]) -> list[str]:
    return [write_line(RawMessage(offset, m.at_ms, m.key, m.value), 0) for offset, m in enumerate(messages)]


def _json(row: Mapping[str, Any]) -> str:
    return json.dumps(row, separators=(",", ":"), ensure_ascii=False)


def _write(path: Path, lines: Iterable[str]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for line in lines:
            file.write(f"{line}\n")
            count += 1
    return count
