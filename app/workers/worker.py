"""One worker process: joins a flow to its broker, database and exchange, and runs it until it is told to stop.

    python -m app.worker everything [PROCESS_ID ADDRESS,ADDRESS...]

SIGTERM sets a flag, every source ends, the last snapshots are taken, and the process exits with 0. Anything unexpected
ends it with another code; who started it decides whether to start it again.
"""

import gc
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import FrameType

import structlog
from bytewax._bytewax import cli_main
from bytewax.dataflow import Dataflow
from bytewax.recovery import RecoveryConfig, init_db_dir

from app.joining import LEDGER_SHARD, join
from app.logs import configure_logs
from app.running import find_places, venue_url
from app.settings import Settings, read_settings
from app.shape import check_shape, shape_of
from domain.errors import BallastError, FencedError
from flows import everything, execution, hedging, liability
from flows.parts import Parts
from sinks.ledger_standby import await_turn

FLOWS: dict[str, Callable[[Parts], Dataflow]] = {
    "everything": everything.flow,
    "liability": liability.flow,
    "hedging": hedging.flow,
    "execution": execution.flow,
}
BOOKING = ("everything", "liability")
"""The flows that have the ledger's writer in them: one of them works, others stand by or stop."""

RECOVERY_PARTITIONS = 4
"""The most processes that a flow can ever have over one recovery folder."""

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


def run(name: str, process_id: int | None, addresses: list[str] | None) -> None:
    """Run a flow to its end; BallastError says what a person has to do."""
    settings = read_settings()
    configure_logs(settings.run.log_level)
    stopping = Stopping()
    stopping.listen()
    places = find_places(settings)
    if settings.run.standby and name in BOOKING and process_id in (None, 0):
        log.info("worker.stands_by", flow=name)
        if not await_turn(places.dsn, LEDGER_SHARD, stopping):
            return
    parts = join(settings, places, venue_url(settings), stopping)
    flow = FLOWS[name](parts)
    folder = recovery_folder(settings, name)
    if process_id in (None, 0):
        prepare_recovery(folder)
        check_shape(folder, shape_of(flow, list(parts.partitions), settings.pairing.shards, settings.kafka.lanes))
    collect_rarely()
    switch_quickly()
    log.info("worker.started", flow=name, process_id=process_id or 0)
    cli_main(
        flow,
        process_id=process_id,
        addresses=addresses,
        epoch_interval=timedelta(milliseconds=settings.run.epoch_ms),
        recovery_config=RecoveryConfig(str(folder), backup_interval=timedelta(0)),
    )
    log.info("worker.stopped", flow=name)


def collect_rarely() -> None:
    """Flows make many objects and hardly any cycles; looking for cycles as often as Python does by itself costs a tenth."""
    gc.freeze()
    gc.set_threshold(1_000_000, 50, 100)


def switch_quickly() -> None:
    """The thread that writes to the ledger mostly waits; with Python's 5 ms it would wait that long after each answer."""
    sys.setswitchinterval(0.0001)


def prepare_recovery(folder: Path) -> None:
    """Make the recovery folder on the first start."""
    if not (folder / "part-0.sqlite3").exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        init_db_dir(folder, RECOVERY_PARTITIONS)


def root_cause(error: BaseException) -> BallastError | None:
    """The BallastError at the bottom of what the engine has wrapped around it, if there is one."""
    at: BaseException | None = error
    while at is not None:
        if isinstance(at, BallastError):
            return at
        at = at.__cause__ or at.__context__
    return None


def main() -> None:
    """Run the flow that the command line names; a known trouble is one sentence and its exit code."""
    name, *cluster = sys.argv[1:]
    try:
        run(name, int(cluster[0]) if cluster else None, cluster[1].split(",") if cluster else None)
    except Exception as error:
        known = root_cause(error)
        if known is None:
            raise
        print(f"ballast: {known}", file=sys.stderr)
        # A standby that lost the race for the ledger stands by again.
        stands_by = isinstance(known, FencedError) and read_settings().run.standby
        sys.exit(1 if stands_by else known.exit_code)


if __name__ == "__main__":
    main()
