"""One worker process: joins a flow to its broker, database and exchange, and runs it until it is told to stop.

    python -m app.workers.worker everything [PROCESS_ID ADDRESS,ADDRESS...]

SIGTERM sets a flag, every source ends, the last snapshots are taken, and the process exits with 0. Anything unexpected
ends it with another code; who started it decides whether to start it again.
"""

import gc
import os
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any, Generic, NamedTuple, TypeVar

import structlog
from bytewax._bytewax import cli_main
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig

from app.logs import configure_logs
from app.places.addresses import find_places, venue_urls
from app.settings import Settings, read_settings
from app.troubles import bottom_of
from app.workers import parts
from app.workers.ends import code_of
from app.workers.parts import Joints
from app.workers.recovery import prepare_recovery, take_folder
from app.workers.shape import check_shape, shape_of
from connectors.kafka.origin import origin_of
from domain.errors import FencedError
from domain.ledger.accounts import SETTLEMENT_SHARD, TREASURY_SHARD
from domain.topics import Topic
from flows import archive, everything, execution, hedging, ledger, liability, reconciling, settlement, treasury
from flows.edges import Edges
from sinks.ledger.standby import await_turn

S = TypeVar("S")


class Flow(NamedTuple, Generic[S]):
    """A flow that can be run: its builder, what its setup is made by, the topics that it reads, and what joins it to them.

    One that does not save keeps its state where it puts what it makes.
    """

    build: Callable[[Edges, S], Dataflow]
    setup: Callable[[Joints], S]
    inputs: Sequence[Topic[Any]]
    edges: Callable[[Joints], Edges] = parts.edges
    saves: bool = True

    def join(self, joints: Joints) -> tuple[Dataflow, Edges]:
        """Build the dataflow, joined to the outside."""
        joined = self.edges(joints)
        return self.build(joined, self.setup(joints)), joined


ARCHIVE = "archive"
"""The flow that others know nothing of: it is run beside them, and no part of `everything`."""

GIVES_WAY = {ARCHIVE: 10, "settlement": 5}
"""By how much processes are nicer than those that hedge, where the processor is short: the archive's, and the settlement's,
whose backlog may wait while a price moves."""

BESIDE = (ARCHIVE, "reconciling", "treasury", "settlement")
"""The flows that are run beside the others, and are no part of `everything`."""

FLOWS: dict[str, Flow[Any]] = {
    "everything": Flow(everything.flow, parts.of_everything, (*everything.INPUTS, *ledger.INPUTS)),
    "liability": Flow(liability.flow, parts.of_liability, liability.INPUTS),
    "hedging": Flow(hedging.flow, parts.of_hedging, hedging.INPUTS),
    "execution": Flow(execution.flow, parts.of_execution, execution.INPUTS),
    "ledger": Flow(ledger.flow, parts.of_singles, ledger.INPUTS),
    "reconciling": Flow(reconciling.flow, parts.of_reconciling, reconciling.INPUTS),
    "treasury": Flow(treasury.flow, parts.of_treasury, treasury.INPUTS),
    "settlement": Flow(settlement.flow, parts.of_settlement, settlement.INPUTS),
    ARCHIVE: Flow(archive.flow, parts.of_archive, archive.INPUTS, parts.archive_edges, saves=False),
}
BOOKING: dict[str, Callable[[Settings], Sequence[int]]] = {
    "everything": parts.all_shards,
    "liability": parts.trade_shards,
    "ledger": lambda _: (parts.SINGLES_SHARD,),
    "treasury": lambda _: (TREASURY_SHARD,),
    "settlement": lambda _: (SETTLEMENT_SHARD,),
}
"""The flows that have writers of the ledger in them, and of which shards: one of them works, others stand by or stop."""

log = structlog.get_logger()


class Stopping:
    """A flag that SIGTERM sets and every source reads."""

    def __init__(self) -> None:
        self._set = False

    def __call__(self) -> bool:
        return self._set

    def listen(self) -> None:
        """From now on SIGTERM and SIGINT ask for a clean stop."""

        def ask(_signal: int, _frame: FrameType | None) -> None:
            self._set = True

        signal.signal(signal.SIGTERM, ask)
        signal.signal(signal.SIGINT, ask)


def recovery_folder(settings: Settings, flow: str) -> Path:
    """Where a flow's state is saved. It holds pickles, so it is for its owner only."""
    return settings.data.folder / "recovery" / flow


def epoch_of(settings: Settings, flow: str) -> timedelta:
    """Return how often outputs of a flow are made sure of: an archive is better made of few files."""
    return timedelta(seconds=settings.archive.seconds) if flow == ARCHIVE else timedelta(milliseconds=settings.run.epoch_ms)


def run(name: str, process_id: int | None, addresses: list[str] | None) -> None:
    """Run a flow to its end; BallastError says what a person has to do."""
    settings = read_settings()
    configure_logs(settings.run.log_level)
    stopping = Stopping()
    stopping.listen()
    places = find_places(settings)
    if settings.run.standby and name in BOOKING and process_id in (None, 0):
        log.info("worker.stands_by", flow=name)
        if not all(await_turn(places.dsn, shard, stopping) for shard in BOOKING[name](settings)):
            return
    inputs = sorted({topic.name for topic in FLOWS[name].inputs})
    origin = origin_of(places.kafka, inputs)
    flow, joined = FLOWS[name].join(Joints(settings, places, venue_urls(settings), stopping, origin))
    folder = recovery_folder(settings, name) if FLOWS[name].saves else None
    if folder is not None and process_id in (None, 0):
        take_folder(folder)
        forgotten = prepare_recovery(folder)
        if forgotten:
            log.info("worker.unended_epoch_forgotten", flow=name, states=forgotten)
        own = [partition for partition in joined.partitions if partition[0] in inputs]
        fixed = {"lanes": settings.kafka.lanes}
        for came in check_shape(folder, shape_of(flow, own, origin, fixed)):
            log.info("worker.new_in_this_flow", flow=name, what=came)
    os.nice(GIVES_WAY.get(name, 0))
    collect_rarely()
    switch_quickly()
    log.info("worker.started", flow=name, process_id=process_id or 0)
    try:
        cli_main(
            flow,
            process_id=process_id,
            addresses=addresses,
            epoch_interval=epoch_of(settings, name),
            recovery_config=None if folder is None else RecoveryConfig(str(folder), backup_interval=timedelta(0)),
        )
    finally:
        # What is frozen is never let go of, of which DuckDB would complain at length.
        gc.unfreeze()
    log.info("worker.stopped", flow=name)


def collect_rarely() -> None:
    """Flows make many objects and hardly any cycles; looking for cycles as often as Python does by itself costs a tenth."""
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)


def switch_quickly() -> None:
    """The thread that writes to the ledger mostly waits; with Python's 5 ms it would wait that long after each answer."""
    sys.setswitchinterval(0.0001)


def main() -> None:
    """Run the flow that the command line names; a known trouble is one sentence and its exit code."""
    name, *cluster = sys.argv[1:]
    try:
        run(name, int(cluster[0]) if cluster else None, cluster[1].split(",") if cluster else None)
    except Exception as error:
        known = bottom_of(error)
        if known is None:
            raise
        print(f"ballast: {known}", file=sys.stderr)
        # A standby that lost the race for the ledger stands by again.
        stands_by = isinstance(known, FencedError) and read_settings().run.standby
        sys.exit(1 if stands_by else code_of(known))


if __name__ == "__main__":
    main()
