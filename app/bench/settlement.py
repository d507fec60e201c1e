"""From Kafka to settled: matched trades per second by how many customers there are, and how fast balances are read meanwhile.

The worker is a process as in production, over a real broker and a real database (embedded ones unless settings name others).
Each customer pays in and orders first. Then the worker stands still until all trades are on their topic, so that whoever
produces is not measured; the rate is that from the commit of its first batch to that of the last. Beside it, in the same run and
on the same database, COPY writes the same rows when it does nothing else.

While trades settle, one reader asks for all balances of one customer after the other, chosen by chance.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random  # noqa: TID251 - seeded
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from app.bench.load import produce_all
from app.bench.matched import INSTRUMENT, SYMBOL, Tape, deposits, locks
from app.bench.posting.copying import TABLES, copied
from app.bench.processor import processes, seconds_of
from app.bench.workers import counted, parts_of, standing_still, workers
from app.settings import Data, Settings, read_settings
from app.settings import Settlement as SettlementSettings
from app.workers.session import Session, open_session
from app.workers.supervisor import Group
from connectors.clock import now_ms
from domain.ledger.accounts import SETTLEMENT_SHARD
from domain.topics import ORDERS_LOCKS, SETTLEMENT_FLOWS, SETTLEMENT_INSTRUMENTS, TRADES_MATCHED, Topic
from sinks.postgres import Connection, connect

STALL_SECONDS = 300.0
"""When nothing more is booked for so long, a run is given up."""

LOOK_SECONDS = 0.2
KEY = SYMBOL.encode()
FIXED = 50
"""The seed's plan for a batch: ten to fifty trades."""

BOOKED = f"SELECT coalesce(sum(n), 0) FROM ledger.tally WHERE outcome = 'posted' AND shard = {SETTLEMENT_SHARD}"  # noqa: S608
NEWEST = "SELECT coalesce(max(batch_id), 0) FROM ledger.batch"
SPAN = """
SELECT extract(EPOCH FROM max(recorded_at) - min(recorded_at)), sum(n_tx) - (array_agg(n_tx ORDER BY batch_id))[1], count(*)
FROM ledger.batch WHERE batch_id > %s AND shard = %s AND n_tx > 0
"""
BALANCES = "SELECT * FROM settlement.balances_of(%s)"


class Plan(NamedTuple):
    """How many customers there are, how many trades settle, and how: `batch_max` postings in a batch, of a hot pair or not."""

    name: str
    users: int
    trades: int
    batch_max: int | None = None
    is_hot: bool = False


def plans(users: Sequence[int], trades: int) -> Iterator[Plan]:
    """Yield what is measured: for each number of customers adaptive batches; for the first fixed ones and a hot pair too."""
    for count in users:
        yield Plan(f"{count} customers", count, trades)
    yield Plan(f"{users[0]} customers, batches of {FIXED}", users[0], trades // 4, batch_max=FIXED)
    yield Plan(f"{users[0]} customers, a hot pair", users[0], trades, is_hot=True)


def measure(users: Sequence[int], trades: int) -> dict[str, Any]:
    """Return one report, a row per plan: rates per second, times in milliseconds and in microseconds per trade."""
    settings = read_settings()
    return {"rows": [measured(settings, plan) for plan in plans(users, trades)]}


def measured(settings: Settings, plan: Plan) -> dict[str, Any]:
    """Return what a plan comes to, on a broker and a database of its own."""
    with TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as folder, ExitStack() as stack:
        session = stack.enter_context(open_session(_own(settings, plan, Path(folder)), None))
        groups = stack.enter_context(workers(session, Path(folder), ("settlement",)))
        connection = stack.enter_context(connect(session.places.dsn, "reader", "bench"))
        opened = open_customers(session, connection, groups, plan)
        settled = _settle(session, connection, groups, plan)
        copy_rate = copied(session.places.dsn, int(settled.pop("batches")), TABLES).per_second
    beside = {"copy_per_second": round(copy_rate), "to_copy": round(settled["trades_per_second"] / copy_rate, 3)}
    return {"plan": plan.name, "opened_per_second": opened, **settled, **beside}


def _own(settings: Settings, plan: Plan, folder: Path) -> Settings:
    own = SettlementSettings() if plan.batch_max is None else SettlementSettings(batch_max=plan.batch_max)
    return settings.model_copy(update={"data": Data(folder=folder), "settlement": own})


def open_customers(session: Session, connection: Connection, groups: Sequence[Group], plan: Plan) -> int:
    """Have all customers pay in and order; return how many words were booked per second."""
    at_ms, newest = now_ms(), counted(connection, NEWEST)
    put(session, SETTLEMENT_INSTRUMENTS, [INSTRUMENT.format(at_ms=at_ms).encode()], KEY)
    put(session, SETTLEMENT_FLOWS, deposits(plan.users, at_ms))
    _await(connection, groups, plan.users)
    put(session, ORDERS_LOCKS, locks(plan.users, at_ms))
    _await(connection, groups, 2 * plan.users)
    seconds, booked, _ = connection.execute(SPAN, (newest, SETTLEMENT_SHARD)).fetchone() or (0, 0, 0)
    return round(float(booked) / float(seconds))


def _settle(session: Session, connection: Connection, groups: Sequence[Group], plan: Plan) -> dict[str, float]:
    """Settle all trades; return how many per second, what of the processor each took, and how long balances took to read."""
    newest, parts = counted(connection, NEWEST), parts_of(groups, connection)
    with standing_still(parts["flow"]):
        put(session, TRADES_MATCHED, Tape(plan.users).trades(plan.trades, now_ms(), is_hot=plan.is_hot), KEY)
        before = processes()
    reads_ms = sorted(_read_meanwhile(connection, groups, plan))
    after = processes()
    seconds, booked, batches = connection.execute(SPAN, (newest, SETTLEMENT_SHARD)).fetchone() or (0, 0, 0)
    spent = {
        f"{name}_us_per_trade": round((seconds_of(after, pids) - seconds_of(before, pids)) / plan.trades * 1e6)
        for name, pids in parts.items()
    }
    ranks = {f"read_p{p}_ms": round(reads_ms[len(reads_ms) * p // 100], 2) for p in (50, 95, 99)}
    rates = {"trades_per_second": round(float(booked) / float(seconds)), "batches": batches, "reads": len(reads_ms)}
    return {**rates, **ranks, **spent}


def _read_meanwhile(connection: Connection, groups: Sequence[Group], plan: Plan) -> Iterator[float]:
    """Yield the milliseconds of each look at all balances of a customer, until all trades are settled."""
    wanted = 2 * plan.users + plan.trades
    dice = Random(1)  # noqa: S311 - the same every time
    looked, stalled_at, last = 0.0, time.monotonic() + STALL_SECONDS, 0
    while last < wanted:
        began = time.perf_counter()
        connection.execute(BALANCES, (f"u{dice.randrange(plan.users)}",)).fetchall()
        yield (time.perf_counter() - began) * 1000
        if (now := time.monotonic()) > looked + LOOK_SECONDS:
            looked, booked = now, booked_by_now(connection, groups)
            stalled_at = now + STALL_SECONDS if booked > last else _refuse_to_wait(now, stalled_at, booked, wanted)
            last = booked
        time.sleep(0.001)


def _await(connection: Connection, groups: Sequence[Group], wanted: int) -> None:
    last, stalled_at = -1, time.monotonic() + STALL_SECONDS
    while last < wanted:
        booked, now = booked_by_now(connection, groups), time.monotonic()
        stalled_at = now + STALL_SECONDS if booked > last else _refuse_to_wait(now, stalled_at, booked, wanted)
        last = booked
        time.sleep(LOOK_SECONDS)


def booked_by_now(connection: Connection, groups: Sequence[Group]) -> int:
    """Return how many postings the settlement has booked; raises if a worker has ended."""
    for group in groups:
        group.watch()
    return counted(connection, BOOKED)


def _refuse_to_wait(now: float, stalled_at: float, booked: int, wanted: int) -> float:
    if now > stalled_at:
        msg = f"{booked} of {wanted} words were booked, and none in the last {STALL_SECONDS:.0f} s"
        raise TimeoutError(msg)
    return stalled_at


def put(session: Session, topic: Topic[Any], lines: Iterable[bytes], key: bytes | None = None) -> None:
    """Put messages on the partitions of a topic in turn; those with a key have one partition, as those of a symbol do."""
    partitions = 1 if key else topic.partitions
    produce_all(session.places.kafka, topic.name, ((line, n % partitions) for n, line in enumerate(lines)), key)
