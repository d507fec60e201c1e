"""Runs the flows over recorded topics, in memory: no clock, no broker, no database, the same bytes every time.

What the flows would put on topics is written as `<topic>.jsonl`, and the ledger that the run built as
`ledger/transactions.jsonl`, `ledger/entries.jsonl` and `ledger/balances.jsonl`. Nothing is sent to an exchange: what it
answered then is among the recorded topics.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.testing import TestingSource, cluster_main, run_main

from app.joining import desk_policy, pairing_setup
from app.settings import Settings
from connectors.recorded import Recorded, RecordedSource, read_folder, write_line
from domain.memory_ledger import MemoryLedger
from domain.messages import Decision
from domain.streams import Outgoing, RawMessage
from domain.topics import OUTPUTS, Topic
from flows import everything
from flows.parts import PairingSetup, Parts
from operators.booking import OpenLedger, at_once
from operators.recall import Memory
from operators.reserving import Reservations
from sinks.memory import ListSink

NO_RECALL = Memory(0, 2**60)
"""A replay starts from nothing and forgets nothing."""


class Replayed(NamedTuple):
    """What came out: messages in the order of their topics, and the ledger."""

    outgoing: list[Outgoing]
    ledger: MemoryLedger


def replay(settings: Settings, recorded: Recorded, batch_size: int = 1000, workers: int = 1) -> Replayed:
    """Run the flows over recorded messages. The ledger is the same for every batch size and number of workers."""
    outgoing: list[Outgoing] = []
    ledger = MemoryLedger()
    flow = everything.replay(memory_parts(settings, recorded, ledger, outgoing, batch_size))
    if workers == 1:
        run_main(flow)
    else:
        cluster_main(flow, [], 0, worker_count_per_proc=workers)
    return Replayed(outgoing, ledger)


def memory_parts(
    settings: Settings, recorded: Recorded, ledger: MemoryLedger, outgoing: list[Outgoing], batch_size: int
) -> Parts:
    """Parts that keep everything in memory; each instant is a ledger batch of its own, so batches do not show."""

    def source(topics: Sequence[Topic]) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: tape for key, tape in recorded.items() if key[0] in names}, batch_size)

    return Parts(
        partitions=sorted(recorded),
        source=source,
        gateway=TestingSource([]),
        outgoing=ListSink(outgoing),
        quarantine=ListSink([]),
        open_ledger=lambda: OpenLedger(ledger, at_once),
        open_history=lambda: ledger.correlated,
        open_decisions=lambda: _forget,
        open_reservations=_no_reservations,
        pairing=_without_recall(pairing_setup(settings, 0)),
        policy=desk_policy(settings),
        window_ms=1,
    )


def _forget(_decisions: Sequence[Decision]) -> None:
    """A replay keeps decisions as messages only."""


def _no_reservations() -> Reservations:
    msg = "a replay reserves nothing"
    raise AssertionError(msg)


def _without_recall(pairing: PairingSetup) -> PairingSetup:
    return PairingSetup(pairing.rule, pairing.shards, NO_RECALL, pairing.leg_age_max_ms)


def replay_folder(settings: Settings, folder: Path, out: Path, batch_size: int = 1000, workers: int = 1) -> dict[str, int]:
    """Replay the recorded topics of `folder` into `out`; returns how many lines each file got."""
    recorded = read_folder(folder, everything.INPUTS)
    replayed = replay(settings, recorded, batch_size, workers)
    files: dict[str, Iterable[str]] = {f"{name}.jsonl": lines for name, lines in topic_lines(replayed.outgoing).items()}
    files |= {f"ledger/{name}.jsonl": map(_json, rows) for name, rows in ledger_rows(replayed.ledger).items()}
    return {name: _write(out / name, lines) for name, lines in sorted(files.items())}


def ledger_rows(ledger: MemoryLedger) -> dict[str, list[dict[str, Any]]]:
    """The books as rows, by the name of their file."""
    return {
        "transactions": ledger.transaction_rows(),
        "entries": ledger.entry_rows(),
        "balances": ledger.balance_rows(),
    }


def topic_lines(outgoing: Iterable[Outgoing]) -> dict[str, list[str]]:
    """Recorded lines by topic, in order of time and key: which step spoke first within a millisecond does not show."""
    by_topic: dict[str, list[Outgoing]] = defaultdict(list, {topic.name: [] for topic in OUTPUTS})
    for message in outgoing:
        by_topic[message.topic].append(message)
    return {topic: _lines(sorted(messages, key=_time_and_key)) for topic, messages in by_topic.items()}


def _time_and_key(message: Outgoing) -> tuple[int, bytes]:
    return message.at_ms, message.key or b""


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
