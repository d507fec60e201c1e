"""The demo: the whole treasury on one machine, with simulated users, a simulated market and a simulated exchange.

The flow runs as a worker process under a supervisor, as in production; the users trade from here. At the end the users stop,
what is on its way arrives, however long that takes, the promises are checked against what is left, and everything is stopped.
"""

import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from app.demo.crowd import CrowdThread
from app.demo.held import read_held
from app.demo.settle import look, wait_until_settled
from app.demo.view import live_view
from app.logs import configure_logs
from app.replay.record import record_topics
from app.reports.invariants import check_invariants, verdicts
from app.reports.status import read_status
from app.settings import Settings
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from connectors.kafka.peek import Peek
from connectors.venue.simulated.bars import gaps, read_bars
from domain.errors import ConfigError
from domain.times import datetime_of
from sinks.postgres import connect

LOOK_SECONDS = 0.5
PROGRESS_SECONDS = 3.0

log = structlog.get_logger()


class DemoPlan(NamedTuple):
    """What the command line asks for; None leaves the choice to the demo."""

    seconds: float | None
    prices: Path | None
    bars_per_second: float | None
    trades_per_second: float
    seed: int
    record: Path | None
    settle_seconds: float | None
    quiet: bool


def run_demo(settings: Settings, plan: DemoPlan) -> dict[str, Any]:
    """Run until the time is over or somebody presses Ctrl-C, then until the books are settled; return the summary.

    Its invariants are empty, and `settled` is false, if `plan.settle_seconds` or another Ctrl-C ended the waiting.
    """
    configure_logs("warning")
    stopping = _Interrupted()
    market = _market(plan)
    _say(plan, "starting broker, database, exchange and worker…")
    with open_session(settings, market) as session:
        group = Group("everything", 1, session.env, settings.data.folder / "worker.log")
        group.start()
        try:
            crowd = _trade(plan, settings, session, group, stopping)
            _say(plan, "letting what is on its way arrive…")
            waits_for = _settle(plan, session, group, crowd, stopping)
            summary = _summary(settings, session) | _verdicts(plan, session, waits_for)
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
    """Ctrl-C and SIGTERM end the trading, not the demo: what is on its way still arrives. Those that come then end the wait."""

    def __init__(self) -> None:
        self.times = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._again)

    def _again(self, *_: object) -> None:
        self.times += 1


def _market(plan: DemoPlan) -> Market:
    if plan.prices is None:
        return Market(None, plan.bars_per_second or 1.0, plan.seed)
    if not plan.prices.is_file():
        msg = f"there is no price file {plan.prices}; it is a CSV of bars: timestamp,open,high,low,close,volume"
        raise ConfigError(msg)
    # All of it is read now, so that a bad row is found before anything starts.
    bars = list(read_bars(plan.prices))
    if not bars:
        msg = f"the price file {plan.prices} has no bars; a bar is a row of timestamp,open,high,low,close,volume"
        raise ConfigError(msg)
    for gap in gaps(bars):
        _say(
            plan, f"the prices have a gap of {gap.missing_ms // 1000} s after {datetime_of(gap.after_ms)}; it is played over"
        )
    # The whole path within the time that there is, unless a pace is given.
    paced = max(1.0, len(bars) / plan.seconds) if plan.seconds else 10.0
    return Market(plan.prices, plan.bars_per_second or paced, plan.seed)


def _trade(plan: DemoPlan, settings: Settings, session: Session, group: Group, stopping: _Interrupted) -> CrowdThread:
    with ExitStack() as stack:
        show = stack.enter_context(live_view(plan.quiet, settings.hedging))
        crowd = stack.enter_context(CrowdThread(session.places.kafka, plan.seed, plan.trades_per_second))
        deadline = _deadline(plan.seconds)
        while time.monotonic() < deadline and not stopping.times:
            group.watch()
            show(session)
            time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
    return crowd


def _deadline(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds


def _settle(plan: DemoPlan, session: Session, group: Group, crowd: CrowdThread, stopping: _Interrupted) -> str | None:
    """Wait until the books are settled; return what it still waited for when it was told to end."""
    deadline, times = _deadline(plan.settle_seconds), stopping.times

    def go_on() -> bool:
        group.watch()
        return time.monotonic() < deadline and stopping.times == times

    with closing(Peek(session.places.kafka)) as peek, connect(session.places.dsn, "reader", "demo") as connection:
        return wait_until_settled(lambda: look(connection, peek, crowd.undelivered()), go_on, _now_and_then())


def _now_and_then() -> Callable[[str], None]:
    """Return what says on standard error what the demo waits for, unless it has just said so."""
    due = time.monotonic() + PROGRESS_SECONDS

    def say(waits_for: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + PROGRESS_SECONDS
            print(f"waiting for {waits_for}", file=sys.stderr)

    return say


def _verdicts(plan: DemoPlan, session: Session, waits_for: str | None) -> dict[str, Any]:
    """Judge the books if they are settled; of others nobody can say what is missing in them."""
    if waits_for is not None:
        return {"settled": False, "waited_for": waits_for, "invariants": {}}
    _say(plan, "checking the promises…")
    breaches = check_invariants(session.places, session.venue_urls)
    broken = {name: found for name, found in breaches.items() if found}
    return {"settled": True, "invariants": verdicts(breaches)} | ({"breaches": broken} if broken else {})


def _summary(settings: Settings, session: Session) -> dict[str, Any]:
    status = read_status(session.places)
    counted = {
        "messages": sum(status["messages"].values()),
        "trades": status["trades"],
        "transactions": status["transactions"],
        "orders": sum(status["orders"].values()),
        "transfers": sum(status["transfers"].values()),
        "quarantined": sum(status["quarantined"].values()),
    }
    hedged = ("liability_cents", "exposure_cents", "hedge_ratio", "collateral_sats", "leverage", "price_usd")
    kept = (*hedged, "books_less_exchange", "suspense_cents", "waiting_legs", "holds")
    held = read_held(session.places, settings.hedging)
    return counted | {name: status[name] for name in kept} | {"hedge": held._asdict()}
