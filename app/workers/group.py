"""Runs flows as long-lived workers until SIGTERM: each a group of processes, watched and started again when it falls."""

import signal
import time
from collections.abc import Callable, Sequence

import structlog

from app.logs import configure_logs
from app.settings import Settings
from app.workers.session import Market, open_session
from app.workers.supervisor import Group
from app.workers.worker import BESIDE, BOOKING, FLOWS
from domain.errors import ConfigError
from sinks.ledger.standby import await_turn

WATCH_SECONDS = 0.2
SENDING = {"everything", "execution"}
"""The flows that talk to exchanges."""

log = structlog.get_logger()


def run_flows(settings: Settings, flows: list[str], workers: int, *, embedded: bool = False) -> None:
    """Start what is needed and the flows, and stay until told to stop. ConfigError says what does not go together."""
    trouble = _named_wrongly(flows) or (None if embedded else _half_named(settings))
    if trouble is not None:
        raise ConfigError(trouble)
    configure_logs(settings.run.log_level)
    told = _Told()
    # Only those that talk to an exchange bring a simulated one where none is named.
    market = Market() if SENDING & set(flows) else None
    with open_session(settings, market) as session:
        if settings.run.standby and not _turn_comes(settings, session.places.dsn, flows, lambda: told.to_stop):
            return
        groups = [Group(name, workers, session.env) for name in flows]
        try:
            for group in groups:
                group.start()
            log.info("flows.started", flows=flows, workers=workers, broker=session.places.kafka.bootstrap)
            while not told.to_stop:
                for group in groups:
                    group.watch()
                time.sleep(WATCH_SECONDS)
        finally:
            codes = [code for group in groups for code in group.stop()]
    log.info("flows.stopped", exit_codes=codes)


def _turn_comes(settings: Settings, dsn: str, flows: Sequence[str], stopping: Callable[[], bool]) -> bool:
    """Wait until the writers of these flows have gone: also those that book nothing wait, or two would decide and two send."""
    shards = sorted({shard for name in flows if name in BOOKING for shard in BOOKING[name](settings)})
    log.info("flows.stand_by", flows=flows, shards=shards)
    return all(await_turn(dsn, shard, stopping) for shard in shards)


def _named_wrongly(flows: Sequence[str]) -> str | None:
    unknown = [name for name in flows if name not in FLOWS]
    if unknown:
        return f"there is no flow {unknown[0]}; there are {', '.join(FLOWS)}"
    if len(set(flows)) < len(flows):
        return f"{', '.join(flows)} names a flow twice; --workers is for several processes of one"
    if "everything" in flows and len({*flows} - {*BESIDE}) > 1:
        return f"everything has all flows in it but {' and '.join(BESIDE)}; name it without the others, or the others without it"
    return None


def _half_named(settings: Settings) -> str | None:
    """Return what is wrong when one of broker and database is named: an embedded other one is hardly what is meant."""
    named = {"postgres.dsn": settings.postgres.dsn, "kafka.bootstrap": settings.kafka.bootstrap}
    missing = [name for name, value in named.items() if value is None]
    if len(missing) != 1:
        return None
    (there,) = named.keys() - missing
    return (
        f"{there} is named and {missing[0]} is not; name it too, or say --embedded to have an embedded one started beside it"
    )


class _Told:
    """Set by SIGTERM and Ctrl-C."""

    def __init__(self) -> None:
        self.to_stop = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(self, "to_stop", True))
