"""Runs flows over recorded topics in memory: any batch size, any number of workers, with crashes and restarts."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir
from bytewax.testing import cluster_main, run_main

from app.replaying import ledger_rows, memory_parts
from connectors.recorded import Recorded, RecordedSource
from domain.memory_ledger import MemoryLedger
from domain.streams import Outgoing
from domain.topics import Topic
from flows import everything
from flows.parts import Parts
from operators.recall import Memory
from tests.flows.streams import SETTINGS

EVERY_LEG = Memory(2**60, 2**60)
"""What was read before the end of time may have been booked by an earlier run: every leg is looked up."""


class Run(NamedTuple):
    """What a run said and booked."""

    outgoing: list[Outgoing]
    ledger: MemoryLedger

    @property
    def books(self) -> dict[str, Any]:
        """All transactions, entries and balances."""
        return ledger_rows(self.ledger)


def run(
    recorded: Recorded,
    flow: Callable[[Parts], Dataflow] = everything.replay,
    *,
    ledger: MemoryLedger | None = None,
    batch_size: int = 100,
    workers: int = 1,
    crash_at: int | None = None,
    recovery: Path | None = None,
    memory: Memory | None = None,
    **parts: Any,
) -> Run:
    """Run a flow to the end of its tapes, or to where a tape crashes; `recovery` is an empty folder, or one to go on from."""
    said = Run([], ledger or MemoryLedger())
    joined = memory_parts(SETTINGS, recorded, said.ledger, said.outgoing, batch_size)

    def source(topics: Sequence[Topic]) -> RecordedSource:
        names = {topic.name for topic in topics}
        return RecordedSource({key: tape for key, tape in recorded.items() if key[0] in names}, batch_size, crash_at)

    pairing = replace(joined.pairing, memory=memory) if memory else joined.pairing
    joined = replace(joined, source=source, pairing=pairing, **parts)
    config = None if recovery is None else _recovery(recovery)
    if workers == 1:
        run_main(flow(joined), epoch_interval=timedelta(0), recovery_config=config)
    else:
        cluster_main(flow(joined), [], 0, worker_count_per_proc=workers, epoch_interval=timedelta(0), recovery_config=config)
    return said


def _recovery(folder: Path) -> RecoveryConfig:
    if not folder.exists():
        folder.mkdir()
        init_db_dir(folder, 1)
    return RecoveryConfig(str(folder))


def said_on(run: Run, topic: Topic) -> list[bytes]:
    """The messages that a run put on a topic, in order."""
    return [message.value for message in run.outgoing if message.topic == topic.name]
