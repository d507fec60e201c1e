"""The measurement of all flows: its load, its rivals on a tiny load, and what the kernel counts; nothing is timed here."""

import os
import subprocess
import sys

import psycopg
import pytest

from app.bench.load import produce_trades
from app.bench.processor import Process, below, command_of, processes, seconds_of
from app.bench.rivals import bytewax_per_second, consumed_per_second, naked_per_second
from connectors.clock import now_ms
from tests.app.surroundings import open_database, open_server
from tests.app.trading import open_trading
from tests.waiting import until

TRADES = 50
BUSY = "import os\nprint(os.getpid(), flush=True)\nwhile True: pass"


def test_what_is_below_a_process_is_all_that_it_has_started() -> None:
    """Children and theirs, and nobody else's."""
    parents = {1: 0, 2: 1, 3: 2, 4: 2, 5: 1, 6: 9}
    all_of = {pid: Process(pid, parent, pid / 10) for pid, parent in parents.items()}
    assert [2, 3, 4] == sorted(below(all_of, 2))
    assert 0.9 == pytest.approx(seconds_of(all_of, [2, 3, 4, 7]))


def test_a_busy_process_uses_the_processor() -> None:
    """The kernel's count of a child of ours grows while it works."""
    with subprocess.Popen([sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None
            assert busy.pid == int(busy.stdout.readline())
            assert busy.pid in below(processes(), os.getpid())
            assert "while True" in command_of(busy.pid)
            until(lambda: seconds_of(processes(), [busy.pid]) > 0.1, "a busy process to use a tenth of a second")
        finally:
            busy.kill()
    assert "" == command_of(busy.pid)


def test_rivals_read_what_was_produced() -> None:
    """A plain consumer and a dataflow of two steps come to the end of what is on the topic, and have a rate."""
    with open_trading() as (session, _):
        kafka = session.places.kafka
        produce_trades(kafka, f"rivals-{now_ms()}", TRADES, now_ms())
        assert consumed_per_second(kafka, TRADES) > 0
        assert bytewax_per_second(kafka, TRADES) > 0


@pytest.mark.postgres
def test_the_naked_function_leaves_nothing() -> None:
    """It writes trades to tables of its own, has a rate, and takes its tables away."""
    with open_server() as server, open_database(server) as dsn:
        assert naked_per_second(dsn, TRADES) > 0
        with psycopg.connect(dsn) as connection:
            assert (0,) == connection.execute("SELECT count(*) FROM pg_namespace WHERE nspname = 'naked'").fetchone()
