"""The demo: the whole treasury on one machine, with simulated users, a simulated market and a simulated exchange.

The flows run as worker processes under a supervisor, as in production; the users trade from here, the customers drain and fill
the buffers, and the traders trade with each other. At the end they stop, what is on its way arrives, however long that takes, the
promises are checked against what is left, and everything is stopped.
"""

import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import structlog

from app.demo.crowd import CrowdThread
from app.demo.customers import CustomersThread
from app.demo.held import read_held
from app.demo.providers import simulated_providers
from app.demo.settle import look, wait_until_settled
from app.demo.trading import TradersThread
from app.demo.view import live_view
from app.logs import configure_logs
from app.replay.record import record_topics
from app.reports.audit.checks import BREACH
from app.reports.audit.judge import audit_folder
from app.reports.audit.taking import snapshot_of
from app.reports.invariants import check_invariants, verdicts
from app.reports.status import read_status
from app.reports.treasury.promises import check_treasury
from app.reports.treasury.standing import summary
from app.settings import Archive, Settings
from app.workers.parts import open_provider
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from app.workers.worker import ARCHIVE
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.venue.simulated.bars import Bar, gaps, read_bars
from domain.errors import ConfigError
from domain.messages.provider import ProviderConfig
from domain.simulated.exchange_terms import FUNDING_INTERVAL_MS
from domain.times import datetime_of
from domain.treasury.policy import TreasuryPolicy
from sinks.archive.moments import moments
from sinks.archive.reading import as_snapshot
from sinks.archive.snapshot import History
from sinks.postgres import connect
from sinks.queries import ask

LOOK_SECONDS = 0.5
ARCHIVE_SECONDS = 2
"""A demo is over in a minute, so what it keeps is made into files more often than elsewhere."""
PROGRESS_SECONDS = 3.0
RUN = ("everything", "treasury", "settlement")
"""The flows of a demo, and what it waits for at its end."""
HURRIED = {"window_seconds": 3, "lateness_seconds": 1, "retry_seconds": 1, "poll_ms": 200, "ask_seconds": 1}

log = structlog.get_logger()


class DemoPlan(NamedTuple):
    """What the command line asks for; None leaves the choice to the demo."""

    seconds: float | None
    prices: Path | None
    bars_per_second: float | None
    trades_per_second: float
    seed: int
    record: Path | None
    archive: Path | None
    keep: Path | None
    settle_seconds: float | None
    quiet: bool


def run_demo(settings: Settings, plan: DemoPlan) -> dict[str, Any]:
    """Run until the time is over or somebody presses Ctrl-C, then until the books are settled; return the summary.

    Its invariants are empty, and `settled` is false, if `plan.settle_seconds` or another Ctrl-C ended the waiting. What is judged
    then is an archive, too, if one was to be kept.
    """
    configure_logs("warning")
    if plan.keep is not None and plan.keep.exists() and any(plan.keep.iterdir()):
        msg = f"{plan.keep} has something in it; name a new folder for --keep"
        raise ConfigError(msg)
    stopping = _Interrupted()
    market = _market(plan)
    settings, flows = _with_archive(_with_treasury(settings), plan)
    _say(plan, "starting broker, database, exchange, providers and workers…")
    with (
        open_session(settings, market) as session,
        simulated_providers(settings, plan.seed) as providers,
        TradersThread(session.places.kafka, plan.seed) as traders,
    ):
        groups = [Group(flow, 1, session.env, settings.data.folder / log_file) for flow, log_file in flows.items()]
        try:
            for group in groups:
                group.start()
            undelivered = _trade(plan, settings, session, groups, providers, traders, stopping)
            _say(plan, "letting what is on its way arrive…")
            waits_for = _settle(plan, session, groups, undelivered, stopping)
            summary = _summary(settings, session) | _verdicts(plan, settings, session, waits_for)
            if plan.archive is not None and waits_for is None:
                summary |= {"archive": _judge_archive(plan, plan.archive, groups)}
            if plan.keep is not None:
                snapshot_of(
                    session.places.dsn, session.places.kafka, plan.keep, settings.pairing.rule, _history(plan.prices)
                )
        finally:
            codes = [code for group in groups for code in group.stop()]
        if plan.record is not None:
            record_topics(session.places.kafka, plan.record)
    if any(codes):
        logs = " and ".join(str(settings.data.folder / log_file) for log_file in flows.values())
        msg = f"the worker did not stop cleanly; its last words are in {logs}"
        raise ConfigError(msg)
    return summary


def _with_archive(settings: Settings, plan: DemoPlan) -> tuple[Settings, dict[str, str]]:
    """Return the settings and the flows with their logs, the archive's beside the others if one is to be kept."""
    flows = {flow: "worker.log" if flow == "everything" else f"{flow}.log" for flow in RUN}
    if plan.archive is None:
        return settings, flows
    kept = Archive(folder=plan.archive.resolve(), seconds=ARCHIVE_SECONDS)
    return settings.model_copy(update={"archive": kept}), flows | {ARCHIVE: "archive.log"}


def _with_treasury(settings: Settings) -> Settings:
    """A demo is over in a minute, so its windows are seconds; what somebody has set stays."""
    own, usual = settings.treasury, TreasuryPolicy()
    hurried = {name: value for name, value in HURRIED.items() if getattr(own, name) == getattr(usual, name)}
    return settings.model_copy(update={"treasury": own.model_copy(update=hurried)})


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
    pace = plan.bars_per_second or paced
    return Market(plan.prices, pace, plan.seed, funding_interval_ms=funding_interval_ms(bars, pace))


def _history(prices: Path | None) -> History | None:
    """Return when the bars of a path began, and how far apart they are."""
    bars = list(read_bars(prices)) if prices is not None else []
    return History(datetime_of(bars[0].at_ms).isoformat(), _step_ms(bars)) if bars else None


def funding_interval_ms(bars: Sequence[Bar], bars_per_second: float) -> int:
    """Return how often the funding rate is paid while a path plays: every eight hours of the path."""
    return max(1, round(FUNDING_INTERVAL_MS * 1_000 / (_step_ms(bars) * bars_per_second)))


def _step_ms(bars: Sequence[Bar]) -> int:
    """Return how far apart bars are: the shortest step, or a second if there is one bar."""
    return min((after.at_ms - before.at_ms for before, after in pairwise(bars)), default=1_000)


def _watch(groups: Sequence[Group]) -> None:
    for group in groups:
        group.watch()


def _trade(
    plan: DemoPlan,
    settings: Settings,
    session: Session,
    groups: Sequence[Group],
    providers: list[ProviderConfig],
    traders: TradersThread,
    stopping: _Interrupted,
) -> Callable[[], int]:
    """Let everybody do what they do, and return what says how many of their messages the broker has not taken."""
    with ExitStack() as stack:
        show = stack.enter_context(live_view(plan.quiet, settings.hedging))
        crowd = stack.enter_context(CrowdThread(session.places.kafka, plan.seed, plan.trades_per_second))
        customers = stack.enter_context(CustomersThread(session.places.kafka, plan.seed, providers))
        stack.callback(traders.rest)
        deadline = _deadline(plan.seconds)
        while time.monotonic() < deadline and not stopping.times:
            _watch(groups)
            show(session)
            time.sleep(min(LOOK_SECONDS, max(0.0, deadline - time.monotonic())))
    return lambda: crowd.undelivered() + customers.undelivered() + traders.undelivered()


def _deadline(seconds: float | None) -> float:
    return float("inf") if seconds is None else time.monotonic() + seconds


def _settle(
    plan: DemoPlan, session: Session, groups: Sequence[Group], undelivered: Callable[[], int], stopping: _Interrupted
) -> str | None:
    """Wait until the books are settled; return what it still waited for when it was told to end."""
    deadline, times = _deadline(plan.settle_seconds), stopping.times

    def go_on() -> bool:
        _watch(groups)
        return time.monotonic() < deadline and stopping.times == times

    with closing(Peek(session.places.kafka)) as peek, connect(session.places.dsn, "reader", "demo") as connection:
        return wait_until_settled(lambda: look(connection, peek, undelivered(), RUN), go_on, _now_and_then())


def _now_and_then() -> Callable[[str], None]:
    """Return what says on standard error what the demo waits for, unless it has just said so."""
    due = time.monotonic() + PROGRESS_SECONDS

    def say(waits_for: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + PROGRESS_SECONDS
            print(f"waiting for {waits_for}", file=sys.stderr)

    return say


def _verdicts(plan: DemoPlan, settings: Settings, session: Session, waits_for: str | None) -> dict[str, Any]:
    """Judge the books if they are settled; of others nobody can say what is missing in them."""
    if waits_for is not None:
        return {"settled": False, "waited_for": waits_for, "invariants": {}}
    _say(plan, "checking the promises…")
    breaches = check_invariants(session.places, session.venue_urls)
    breaches |= check_treasury(session.places, open_provider(settings))
    broken = {name: found for name, found in breaches.items() if found}
    return {"settled": True, "invariants": verdicts(breaches)} | ({"breaches": broken} if broken else {})


def _judge_archive(plan: DemoPlan, archive: Path, groups: Sequence[Group]) -> dict[str, Any]:
    """Wait until the archive has a moment of the settled books, and audit that."""
    _say(plan, "auditing the archive…")
    settled_ms = now_ms()
    while not any(int(moment.name) > settled_ms for moment in moments(archive)[-1:]):
        _watch(groups)
        time.sleep(LOOK_SECONDS)
    with TemporaryDirectory(prefix="ballast-audit-") as scratch:
        as_snapshot(archive, Path(scratch) / "archive")
        report = audit_folder(Path(scratch) / "archive")
    breaches = [check["name"] for check in report["checks"] if check["verdict"] == BREACH]
    return {"folder": str(archive), "audit": report["verdict"], "breaches": breaches}


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
    beside = {"treasury": _converted(session), "settlement": _traded(session)}
    return counted | {name: status[name] for name in kept} | {"hedge": held._asdict()} | beside


def _traded(session: Session) -> dict[str, int]:
    """Return how many customers there are, what they ordered, and what became of their trades."""
    with connect(session.places.dsn, "reader", "demo") as connection:
        (totals,) = ask(connection, "settlement_totals")
    return {name: int(n) for name, n in totals.items()}


def _converted(session: Session) -> dict[str, Any]:
    """What became of the buffers: how they stand, which were refilled, and how often another provider had to step in."""
    with connect(session.places.dsn, "reader", "demo") as connection:
        jobs = ask(connection, "treasury_conversions")
        standing = summary(connection)
    done = [job for job in jobs if job["state"] == "completed"]
    return {
        "buffers": {row["buffer"]: row["status"] for row in standing["buffers"]},
        "jobs": dict(Counter(job["state"] for job in jobs)),
        "refilled": sorted({job["destination"] for job in done}),
        "after_another_failed": sum(job["attempt"] > 1 for job in done),
        "fees": {
            currency: int(sum(job["fee"] for job in done if job["currency"] == currency))
            for currency in sorted({job["currency"] for job in done})
        },
        "providers": {
            row["provider"]: {name: row[name] for name in ("successes", "failures")} for row in standing["providers"]
        },
    }
