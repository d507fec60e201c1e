"""The demo: the whole treasury on one machine, with simulated users, a simulated market and a simulated exchange.

The flow runs as a worker process under a supervisor, as in production; the users trade from here. At the end the users stop,
what is on its way arrives, the promises are checked against what is left, and everything is stopped.
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from app.band import read_held
from app.crowd import CrowdThread
from app.invariants import check_invariants, verdicts
from app.joining import desk_policy
from app.logs import configure_logs
from app.recording import record_topics
from app.session import Market, Session, open_session
from app.settings import Settings
from app.status import read_status
from app.supervisor import Group
from app.view import live_view
from connectors.prices import read_bars
from domain.errors import ConfigError

SETTLE_TIMEOUT_SECONDS = 20.0
LOOK_SECONDS = 0.5

log = structlog.get_logger()


class DemoPlan(NamedTuple):
    """What the command line asks for; None leaves the choice to the demo."""

    seconds: float | None
    prices: Path | None
    bars_per_second: float | None
    trades_per_second: float
    seed: int
    record: Path | None
    quiet: bool


def run_demo(settings: Settings, plan: DemoPlan) -> dict[str, Any]:
    """Run until the time is over or somebody presses Ctrl-C; returns the summary."""
    configure_logs("warning")
    stopping = _Interrupted()
    market = _market(plan)
    _say(plan, "starting broker, database, exchange and worker…")
    with open_session(settings, market) as session:
        group = Group("everything", 1, session.env, settings.data.folder / "worker.log")
        group.start()
        try:
            _trade(plan, session, group, stopping)
            _say(plan, "letting what is on its way arrive…")
            _settle(session, group)
            _say(plan, "checking the promises…")
            summary = _summary(settings, session)
        finally:
            codes = group.stop()
        if plan.record is not None:
            record_topics(session.places.kafka, plan.record)
    if any(codes):
        msg = f"the worker did not stop cleanly; its last words are in {settings.data.folder / 'worker.log'}"
        raise ConfigError(msg)
    return summary


def _say(plan: DemoPlan, text: str) -> None:
    if not plan.quiet:
        print(text, file=sys.stderr)


class _Interrupted:
    """Ctrl-C and SIGTERM end the trading, not the demo: what is on its way still arrives."""

    def __init__(self) -> None:
        self.asked = False
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: setattr(self, "asked", True))


def _market(plan: DemoPlan) -> Market:
    if plan.prices is None:
        return Market(None, plan.bars_per_second or 1.0, plan.seed)
    if not plan.prices.is_file():
        msg = f"there is no price file {plan.prices}; it is a CSV of bars: timestamp,open,high,low,close,volume"
        raise ConfigError(msg)
    # All of it is read now, so that a bad row is found before anything starts.
    bars = sum(1 for _ in read_bars(plan.prices))
    if not bars:
        msg = f"the price file {plan.prices} has no bars; a bar is a row of timestamp,open,high,low,close,volume"
        raise ConfigError(msg)
    # The whole path within the time that there is, unless a pace is given.
    paced = max(1.0, bars / plan.seconds) if plan.seconds else 10.0
    return Market(plan.prices, plan.bars_per_second or paced, plan.seed)


def _trade(plan: DemoPlan, session: Session, group: Group, stopping: _Interrupted) -> None:
    with ExitStack() as stack:
        show = stack.enter_context(live_view(plan.quiet))
        stack.enter_context(CrowdThread(session.places.kafka, plan.seed, plan.trades_per_second))
        deadline = time.monotonic() + plan.seconds if plan.seconds else float("inf")
        while time.monotonic() < deadline and not stopping.asked:
            group.watch()
            show(session)
            time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))


def _settle(session: Session, group: Group) -> None:
    """Wait until nothing is on its way: nothing in flight, nothing new from one look to the next."""
    before: list[dict[str, Any]] = []

    def is_quiet() -> bool:
        status = read_status(session.places)
        seen = {name: status[name] for name in ("transactions", "orders", "transfers", "waiting_legs", "liability_cents")}
        quiet = before[-1:] == [seen] and not _in_flight(status)
        before.append(seen)
        return quiet

    _wait(group, is_quiet, SETTLE_TIMEOUT_SECONDS)


def _in_flight(status: dict[str, Any]) -> bool:
    still = {"reserved", "sent", "unknown", "open", "pending"}
    return bool(still & (status["orders"].keys() | status["transfers"].keys()))


def _wait(group: Group, done: Callable[[], bool], timeout_seconds: float) -> None:
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        group.watch()
        if done():
            return
        time.sleep(LOOK_SECONDS)


def _summary(settings: Settings, session: Session) -> dict[str, Any]:
    status = read_status(session.places)
    breaches = check_invariants(session.places, session.venue_url)
    counted = {
        "messages": sum(status["messages"].values()),
        "trades": status["trades"],
        "transactions": status["transactions"],
        "orders": sum(status["orders"].values()),
        "transfers": sum(status["transfers"].values()),
        "quarantined": sum(status["quarantined"].values()),
    }
    hedged = ("liability_cents", "exposure_cents", "hedge_ratio", "collateral_sats", "leverage", "price_usd")
    kept = (*hedged, "books_less_exchange", "waiting_legs", "holds")
    held = read_held(session.places, desk_policy(settings).limits)
    report = counted | {name: status[name] for name in kept} | {"hedge": held._asdict(), "invariants": verdicts(breaches)}
    broken = {name: found for name, found in breaches.items() if found}
    return report | ({"breaches": broken} if broken else {})
