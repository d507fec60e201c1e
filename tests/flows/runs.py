"""Runs flows over recorded topics in memory: any batch size, any number of workers, with crashes and restarts."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import TestingSource, cluster_main, run_main

from app.replay.replay import ledger_rows, memory_edges, memory_hedging, memory_liability
from app.settings import Settings
from connectors.recorded import Recorded, RecordedSource
from domain.ledger.accounts import CHART, Account
from domain.ledger.clearing import clearing_accounts, home_part
from domain.ledger.journal import CREDIT
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.outbox.memory import MemoryReservations
from domain.pairing.booked import BookedLegs, booked_trades
from domain.postings.single import FOLLOWED
from domain.streams.records import Outgoing, RawMessage
from domain.topics import Topic
from flows import everything, execution, hedging, ledger, liability
from flows.edges import Edges
from operators.ledger import OpenLedger, at_once
from operators.recall import Memory
from tests.words import START_MS, raw

SETTINGS = Settings()
CHARTED = {account.code for account in CHART}
SINGLES = ("ANNA", "BORIS")
BOOKS = [*CHART, *(one for one in clearing_accounts((0, 1)) if one.shard == 0)]
SINGLE_BOOKS = [
    *(Account(1000 + n, name, CREDIT, "Wallet", "USD", shard=1) for n, name in enumerate(SINGLES)),
    *(one for one in clearing_accounts((0, 1)) if one.shard == 1),
]
FEW_BITS = 1024
"""So that now and then a new leg is taken for a booked one."""
EVERY_LEG = Memory(2**60, 2**60)
"""What was read before the end of time may have been booked by an earlier run: every leg is looked up."""


def tape(said: Iterable[tuple[int, Message | bytes]]) -> list[RawMessage]:
    """Messages of one partition, each `after_ms` the start, in this order."""
    return [raw(message, offset, START_MS + after_ms) for offset, (after_ms, message) in enumerate(said)]


def recorded(tapes: Mapping[str, Iterable[tuple[int, Message | bytes]]]) -> Recorded:
    """Tapes by `topic/partition`; every other partition that a replay reads is empty."""
    found: dict[tuple[str, int], list[RawMessage]] = {
        (topic.name, partition): []
        for topic in (*everything.INPUTS, *ledger.INPUTS)
        for partition in range(topic.partitions)
    }
    for name, said in tapes.items():
        topic, _, partition = name.partition("/")
        found[topic, int(partition or 0)] = tape(said)
    return found


class Run(NamedTuple):
    """What a run said and booked."""

    outgoing: list[Outgoing]
    ledger: MemoryLedger
    singles: MemoryLedger

    @property
    def books(self) -> dict[str, Any]:
        """All transactions, entries and balances."""
        return ledger_rows(self.ledger)


class Joints(NamedTuple):
    """What a flow is joined to, all of it in memory."""

    edges: Edges
    liability: liability.Setup
    hedging: hedging.Setup
    execution: execution.Setup
    singles: ledger.Setup


Build = Callable[[Joints], Dataflow]


def replay(joints: Joints) -> Dataflow:
    """Everything but execution."""
    return everything.replay(joints.edges, joints.liability, joints.hedging)


def whole(joints: Joints) -> Dataflow:
    """Everything, execution included."""
    return everything.flow(
        joints.edges, everything.Setup(joints.liability, joints.hedging, joints.execution, joints.singles)
    )


def liability_alone(joints: Joints) -> Dataflow:
    """The liability flow by itself, with its ledger."""
    return liability.flow(joints.edges, joints.liability)


def hedging_alone(joints: Joints) -> Dataflow:
    """The hedging flow by itself."""
    return hedging.flow(joints.edges, joints.hedging)


def execution_alone(joints: Joints) -> Dataflow:
    """The execution flow by itself."""
    return execution.flow(joints.edges, joints.execution)


def singles_alone(joints: Joints) -> Dataflow:
    """The flow of single postings by itself."""
    return ledger.flow(joints.edges, joints.singles)


FLOWS: dict[str, Build] = {
    "everything": whole,
    "execution": execution_alone,
    "hedging": hedging_alone,
    "ledger": singles_alone,
    "liability": liability_alone,
    "replay": replay,
}


def joints_of(recorded: Recorded, said: Run, batch_size: int = 100, crash_at: int | None = None) -> Joints:
    """Joints that read tapes, book and say into `said`, and reserve for an exchange that says nothing."""

    def source(topics: Sequence[Topic[Any]], at_most: int | None) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: tape for key, tape in recorded.items() if key[0] in names}, batch_size, crash_at)

    edges = replace(memory_edges(recorded, said.outgoing, batch_size), source=source)
    reservations = MemoryReservations(lambda: START_MS)
    nobody = execution.Setup(lambda: reservations, TestingSource([]))
    books = said.singles
    part = partial(home_part, shard_of=lambda code: int(code not in CHARTED), home=1)
    singles = ledger.Setup(1, lambda: at_once(books), [], 1, FOLLOWED, part)
    return Joints(edges, memory_liability(SETTINGS, said.ledger), memory_hedging(SETTINGS), nobody, singles)


def run(
    recorded: Recorded,
    flow: Build = replay,
    *,
    books: MemoryLedger | None = None,
    batch_size: int = 100,
    workers: int = 1,
    crash_at: int | None = None,
    recovery: Path | None = None,
    change: Callable[[Joints], Joints] = lambda joints: joints,
    memory: Memory | None = None,
    booked: BookedLegs | None = None,
) -> Run:
    """Run a flow to the end of its tapes, or to where a tape crashes; `recovery` is an empty folder, or one to go on from.

    `change` may join it to something else. With a `memory` the ledger is asked for what it lacks, and for what may be `booked`.
    """
    said = Run([], books or MemoryLedger(BOOKS), MemoryLedger(SINGLE_BOOKS))
    joints = change(joints_of(recorded, said, batch_size, crash_at))
    if memory is not None:
        joints = joints._replace(liability=remembering(joints.liability, memory, said.ledger, booked))
    run_built(flow(joints), workers, recovery)
    return said


def run_built(built: Dataflow, workers: int, recovery: Path | None) -> None:
    """Run a dataflow to its end, an epoch per batch; `recovery` is a folder to go on from, or none that is there yet."""
    config = None if recovery is None else _recovery(recovery)
    if workers == 1:
        run_main(built, epoch_interval=timedelta(0), recovery_config=config)
    else:
        cluster_main(built, [], 0, worker_count_per_proc=workers, epoch_interval=timedelta(0), recovery_config=config)


def remembering(own: liability.Setup, memory: Memory, books: MemoryLedger, booked: BookedLegs | None) -> liability.Setup:
    """The setup of a worker that begins now: it notes what its ledger holds when it opens that."""
    noted = BookedLegs(FEW_BITS) if booked is None else booked

    def open_ledger() -> OpenLedger:
        noted.taken()
        noted.begin(booked_trades([*books.transactions(), *(refused.transaction for refused in books.rejected)]))
        noted.complete()
        return at_once(books)._replace(booked=noted)

    shards = [replace(shard, open_ledger=open_ledger) for shard in own.shards]
    return replace(own, memory=memory, open_history=books.history, booked=noted, shards=shards)


def _recovery(folder: Path) -> RecoveryConfig:
    if not folder.exists():
        folder.mkdir()
        init_db_dir(folder, 1)
    return RecoveryConfig(str(folder))


def said_on(run: Run, topic: Topic[Any]) -> list[bytes]:
    """The messages that a run put on a topic, in order."""
    return [message.value for message in run.outgoing if message.topic == topic.name]
