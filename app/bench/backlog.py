"""How soon hedging decides while the settlement has nothing to do, and while it works off a backlog, in one run.

User trades come at a steady pace to a worker with all flows of the main loop; the settlement runs beside it, as a process of its
own with a shard of its own. Both share the broker, the database and the processor.
"""

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.bench.end_to_end import EVERYTHING, latency
from app.bench.matched import Tape
from app.bench.settlement import KEY, Plan, booked_by_now, open_customers, put
from app.bench.workers import workers
from app.settings import Data, read_settings
from app.workers.session import Market, open_session
from connectors.clock import now_ms
from domain.topics import TRADES_MATCHED
from sinks.postgres import connect

USERS = 1_000


def measure(trades: int) -> dict[str, Any]:
    """Return one report: milliseconds from a trade to the decision that it causes, idle and beside so many matched trades."""
    settings = read_settings()
    with TemporaryDirectory(prefix="ballast-bench-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
        folder = Path(name)
        own = settings.model_copy(update={"data": Data(folder=folder)})
        session = stack.enter_context(open_session(own, Market()))
        groups = stack.enter_context(workers(session, folder, ("settlement",)))
        connection = stack.enter_context(connect(session.places.dsn, "reader", "bench"))
        open_customers(session, connection, groups, Plan("backlog", USERS, trades))
        idle = latency(session, folder, EVERYTHING)
        put(session, TRADES_MATCHED, Tape(USERS).trades(trades, now_ms()), KEY)
        before = booked_by_now(connection, groups)
        beside = latency(session, folder, EVERYTHING)
        after = booked_by_now(connection, groups)
    told = {
        f"{name}_{p}_ms": ms
        for name, pair in (("idle", idle), ("beside", beside))
        for p, ms in zip(("p50", "p99"), pair, strict=True)
    }
    left = 2 * USERS + trades - after
    return {"backlog": trades, "left_when_measured": left, "settled_meanwhile": after - before, **told}
