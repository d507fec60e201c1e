"""From Kafka to booked and decided: user trades per second, and the time from a message to the decision it causes.

The worker is a process as in production, over a real broker and a real database (embedded ones unless settings name
others). It is measured twice: *catching up* with what came before it was started, which is what follows a stop, and *steady*,
with what comes while it runs. For the second it stands still until all of that is on its topic, so that neither who produces
nor a start is measured; and there the processor's time of each process is taken, which says more than a rate does.

Beside it, in the same run and on the same database: what the ledger's writer posts by itself, what COPY writes when it does
nothing else, and what else could be done with the same messages (`rivals.py`). Machines differ and are noisy; the ratios are
what to compare.
"""

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from app.bench.load import open_wallets, produce_postings, produce_trades
from app.bench.pace import decision_latencies_ms, pace_trades
from app.bench.posting.trades import copy_rate, posting_rate
from app.bench.processor import processes, seconds_of
from app.bench.rivals import bytewax_per_second, consumed_per_second, naked_per_second
from app.bench.stages import stages_us
from app.bench.workers import counted, parts_of, standing_still, workers
from app.reports.gauges import STEPS, come_to_ms, read_gauges
from app.settings import Data, Run, Settings, read_settings
from app.workers.parts import SINGLES_SHARD
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from connectors.clock import now_ms
from sinks.postgres import Connection, connect

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
FROM ledger.batch WHERE batch_id > %s AND shard <> %s
"""
NEWEST = "SELECT coalesce(max(batch_id), 0) FROM ledger.batch"


class Steady(NamedTuple):
    """Trades per second, and by process the seconds of processor that all of them took."""

    per_second: float
    seconds: dict[str, float]


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
        "end_to_end_to_confluent_kafka": round(middle["end_to_end_per_second"] / middle["confluent_kafka_per_second"], 3),
        "end_to_end_to_bytewax": round(middle["end_to_end_per_second"] / middle["bytewax_per_second"], 3),
        "posting_to_naked_function": round(middle["posting_per_second"] / middle["naked_function_per_second"], 3),
        "stages_us_per_trade": stages_us(STAGE_TRADES),
    }


def _run(settings: Settings, trades: int) -> dict[str, float]:
    with TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder:
        own = settings.model_copy(update={"data": Data(folder=Path(folder)), "run": Run(record_decisions="all")})
        with open_session(own, Market()) as session:
            catching_up = _catching_up(session, trades, Path(folder))
            alone = steady(session, trades, Path(folder), EVERYTHING)
            grouped = steady(session, trades, Path(folder), GROUPS)
            latencies = _latencies(session, Path(folder))
            posting = posting_rate(session.places.dsn, trades)
            copied = copy_rate(session.places.dsn, trades)
            beside = _beside(session, trades)
    spent = {f"{name}_us_per_trade": seconds / trades * 1e6 for name, seconds in alone.seconds.items()}
    spent["all_grouped_us_per_trade"] = grouped.seconds["all"] / trades * 1e6
    ours = {"catching_up": catching_up, "end_to_end": alone.per_second, "end_to_end_grouped": grouped.per_second}
    rates = {**ours, "posting": posting, "copy": copied, **beside}
    return {f"{name}_per_second": rate for name, rate in rates.items()} | spent | latencies


def _beside(session: Session, trades: int) -> dict[str, float]:
    kafka, dsn = session.places.kafka, session.places.dsn
    return {
        "confluent_kafka": consumed_per_second(kafka, trades),
        "bytewax": bytewax_per_second(kafka, trades),
        "naked_function": naked_per_second(dsn, trades),
    }


def _latencies(session: Session, folder: Path) -> dict[str, float]:
    """All flows in one process; as workers of their own; and the same while another flow works off a backlog."""
    decision = latency(session, folder, EVERYTHING)
    grouped = latency(session, folder, GROUPS)
    open_wallets(session.places.dsn)
    produce_postings(session.places.kafka, BACKLOG, now_ms())
    beside = latency(session, folder, GROUPS)
    named = {"decision": decision, "grouped": grouped, "grouped_beside_backlog": beside}
    return {f"{name}_{p}_ms": ms for name, pair in named.items() for p, ms in zip(("p50", "p99"), pair, strict=True)}


def _catching_up(session: Session, trades: int, folder: Path) -> float:
    produce_trades(session.places.kafka, "catching-up", trades, now_ms())
    with workers(session, folder, EVERYTHING) as (group,), connect(session.places.dsn, "reader", "bench") as connection:
        _await_booked(connection, [group], trades)
        return _per_second(connection, 0)


def steady(
    session: Session, trades: int, folder: Path, flows: Sequence[str], beside: Mapping[str, Sequence[int]] = {}
) -> Steady:
    """Measure flows that have all of their trades to do at once; so have the processes beside them, which are counted apart."""
    started_ms = now_ms()
    with workers(session, folder, flows) as groups, connect(session.places.dsn, "reader", "bench") as connection:
        _await_steps(session, groups, flows, started_ms)
        booked, newest = counted(connection, BOOKED), counted(connection, NEWEST)
        parts = {**parts_of(groups, connection), **beside}
        with standing_still([pid for name in ("flow", *beside) for pid in parts[name]]):
            produce_trades(session.places.kafka, f"steady-{started_ms}", trades, now_ms())
            before = processes()
        _await_booked(connection, groups, booked + trades)
        after = processes()
        seconds = {name: seconds_of(after, pids) - seconds_of(before, pids) for name, pids in parts.items()}
        return Steady(_per_second(connection, newest), seconds | {"all": sum(seconds.values())})


def latency(session: Session, folder: Path, flows: Sequence[str]) -> tuple[float, float]:
    """Return how many milliseconds decisions take while trades come at a steady pace: the median, and the 99th of a hundred."""
    started_ms = now_ms()
    with workers(session, folder, flows) as groups:
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


def _await_booked(connection: Connection, groups: Sequence[Group], trades: int) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while (booked := counted(connection, BOOKED)) < trades:
        if time.monotonic() > deadline:
            msg = f"only {booked} of {trades} trades were booked within {WAIT_SECONDS:.0f} s"
            raise TimeoutError(msg)
        for group in groups:
            group.watch()
        time.sleep(LOOK_SECONDS)


def _per_second(connection: Connection, after_batch: int) -> float:
    """Trades per second from the commit of the first batch after this one to that of the last; what that first had is not
    counted, since nobody saw when it began."""
    seconds, counted = connection.execute(SPAN, (after_batch, SINGLES_SHARD)).fetchone() or (0, 0)
    return float(counted) / float(seconds)
