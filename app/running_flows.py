"""Runs flows as long-lived workers until SIGTERM: each a group of processes, watched and started again when it falls."""

import signal
import time

import structlog

from app.logs import configure_logs
from app.session import Market, open_session
from app.settings import Settings
from app.supervisor import Group
from app.worker import FLOWS
from domain.errors import ConfigError

WATCH_SECONDS = 0.2

log = structlog.get_logger()


def run_flows(settings: Settings, flows: list[str], workers: int) -> None:
    """Start what is needed and the flows, and stay until told to stop."""
    unknown = [name for name in flows if name not in FLOWS]
    if unknown:
        msg = f"there is no flow {unknown[0]}; there are {', '.join(FLOWS)}"
        raise ConfigError(msg)
    configure_logs(settings.run.log_level)
    told = _Told()
    with open_session(settings, Market()) as session:
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


class _Told:
    """Set by SIGTERM and Ctrl-C."""

    def __init__(self) -> None:
        self.to_stop = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(self, "to_stop", True))
