"""From Kafka to booked and decided: user trades per second, and the time from a message to the decision it causes.

The worker is a process as in production, over a real broker and a real database (embedded ones unless settings name
others). Beside it, in the same run and on the same database: what the ledger's writer posts by itself, and what COPY
writes when it does nothing else. Machines differ and are noisy; the ratios are what to compare.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from app.bench.load import open_wallets, produce_postings, produce_trades
from app.bench.pace import decision_latencies_ms, pace_trades
from app.bench.posting.trades import copy_rate, posting_rate
from app.bench.stages import stages_us
from app.reports.gauges import STEPS, come_to_ms, read_gauges
from app.settings import Data, Run, Settings, read_settings
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from connectors.clock import now_ms
from sinks.postgres import connect

WAIT_SECONDS = 300.0
LOOK_SECONDS = 0.1
PACE_TRADES_PER_SECOND = 1_000
PACE_SECONDS = 10
STAGE_TRADES = 40_000

BACKLOG = 300_000
EVERYTHING = ("everything",)
GROUPS = ("liability", "hedging", "execution", "ledger")
"""The same flows as workers of their own, and the ledger's flow, which has the backlog."""

BOOKED = "SELECT coalesce(sum(n), 0) FROM ledger.tally WHERE outcome = 'posted' AND template LIKE 'USER%'"
SPAN = """
SELECT extract(EPOCH FROM max(recorded_at) - min(recorded_at)), sum(n_tx) - (array_agg(n_tx ORDER BY batch_id))[1]
FROM ledger.batch WHERE batch_id > %s
"""


def measure(trades: int, runs: int) -> dict[str, Any]:
    """One report: medians over `runs`, rates per second, latencies in milliseconds."""
    settings = read_settings()
    measured = [_run(settings, trades) for _ in range(runs)]
    middle = {name: median(run[name] for run in measured) for name in measured[0]}
    rates = {name: round(value) for name, value in middle.items()}
    return {
        "trades": trades,
        "runs": runs,
        **rates,
        "end_to_end_to_posting": round(middle["end_to_end_per_second"] / middle["posting_per_second"], 3),
        "posting_to_copy": round(middle["posting_per_second"] / middle["copy_per_second"], 3),
        "stages_us_per_trade": stages_us(STAGE_TRADES),
    }


def _run(settings: Settings, trades: int) -> dict[str, float]:
    with TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder:
        own = settings.model_copy(update={"data": Data(folder=Path(folder)), "run": Run(record_decisions="all")})
        with open_session(own, Market()) as session:
            rate = _throughput(session, trades, Path(folder))
            latencies = _latencies(session, Path(folder))
            posting = posting_rate(session.places.dsn, trades)
            copied = copy_rate(session.places.dsn, trades)
    return {"end_to_end_per_second": rate, "posting_per_second": posting, "copy_per_second": copied, **latencies}


def _latencies(session: Session, folder: Path) -> dict[str, float]:
    """All flows in one process; as workers of their own; and the same while another flow works off a backlog."""
    decision = _latency(session, folder, EVERYTHING)
    grouped = _latency(session, folder, GROUPS)
    open_wallets(session.places.dsn)
    produce_postings(session.places.kafka, BACKLOG, now_ms())
    beside = _latency(session, folder, GROUPS)
    named = {"decision": decision, "grouped": grouped, "grouped_beside_backlog": beside}
    return {f"{name}_{p}_ms": ms for name, pair in named.items() for p, ms in zip(("p50", "p99"), pair, strict=True)}


def _throughput(session: Session, trades: int, folder: Path) -> float:
    produce_trades(session.places.kafka, "throughput", trades, now_ms())
    with (
        _workers(session, folder, EVERYTHING) as (group,),
        psycopg.connect(session.places.dsn, autocommit=True) as connection,
    ):
        _wait_for(connection, group, trades)
        seconds, counted = connection.execute(SPAN, (0,)).fetchone() or (0, 0)
    return float(counted) / float(seconds)


def _latency(session: Session, folder: Path, flows: Sequence[str]) -> tuple[float, float]:
    started_ms = now_ms()
    with _workers(session, folder, flows) as groups:
        _await_steps(session, groups, flows, started_ms)
        began_ms = now_ms()
        pace_trades(session.places.kafka, f"latency-{began_ms}", PACE_TRADES_PER_SECOND, PACE_SECONDS)
        time.sleep(1)
    latencies = sorted(decision_latencies_ms(session.places.kafka, began_ms))
    return latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]


def _await_steps(session: Session, groups: Sequence[Group], flows: Sequence[str], started_ms: int) -> None:
    """Wait until every step of the flows has come past their start, so that what is measured does not include it."""
    awaited = {step for flow in flows for step in STEPS[flow]}
    deadline = time.monotonic() + WAIT_SECONDS
    with connect(session.places.dsn, "reader", "bench") as connection:
        while awaited:
            if time.monotonic() > deadline:
                msg = f"the steps {', '.join(sorted(awaited))} said nothing within {WAIT_SECONDS:.0f} s"
                raise TimeoutError(msg)
            for group in groups:
                group.watch()
            come = come_to_ms(read_gauges(connection))
            awaited = {step for step in awaited if come.get(step, 0) <= started_ms}
            time.sleep(LOOK_SECONDS)


@contextmanager
def _workers(session: Session, folder: Path, flows: Sequence[str]) -> Iterator[Sequence[Group]]:
    groups = [Group(flow, 1, session.env, folder / f"{flow}.log") for flow in flows]
    for group in groups:
        group.start()
    try:
        yield groups
    finally:
        for group in groups:
            group.stop()


def _wait_for(connection: psycopg.Connection[Any], group: Group, trades: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        group.watch()
        row = connection.execute(BOOKED).fetchone()
        if row and row[0] >= trades:
            return
        time.sleep(LOOK_SECONDS)
    msg = f"only {row[0] if row else 0} of {trades} trades were booked within {WAIT_SECONDS:.0f} s"
    raise TimeoutError(msg)
