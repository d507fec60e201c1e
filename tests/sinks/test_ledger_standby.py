"""Taking over from a writer that died, or is paused and comes back."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from domain.errors import FencedError
from sinks.ledger import PostgresLedger
from sinks.ledger_standby import await_turn
from tests.domain.ledger_workloads import ACCOUNTS, CASH, USER, moved
from tests.sinks.ledger_checks import Sql, assert_books_tie, outcomes

pytestmark = [pytest.mark.postgres, pytest.mark.crash]

ROOT = Path(__file__).parent.parent.parent
WRITER = """
import sys
from itertools import count
from sinks.ledger import PostgresLedger
from tests.domain.ledger_workloads import ACCOUNTS, CASH, USER, moved

ledger = PostgresLedger(sys.argv[1], accounts=ACCOUNTS)
for number in count(1_000_000):
    ledger.post([moved(number, CASH, USER, 1)])
    print(number, flush=True)
"""
BY_FENCE = "SELECT fence, min(batch_id), max(batch_id) FROM ledger.batch GROUP BY fence ORDER BY fence"


@contextmanager
def other_writer(dsn: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that posts one transaction after the other, and has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, dsn], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


def never() -> bool:
    """Nobody tells the standby to stop."""
    return False


def test_a_standby_takes_over_from_a_writer_that_was_killed(dsn: str, sql: Sql) -> None:
    """As soon as the connection of the dead one has ended the shard is free, and the books go on from what it committed."""
    with other_writer(dsn) as writer:
        with pytest.raises(FencedError, match="another writer holds the ledger"):
            PostgresLedger(dsn, accounts=ACCOUNTS)
        writer.kill()
        began = time.monotonic()
        assert await_turn(dsn, 0, never)
        assert time.monotonic() - began < 5
    ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
    assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
    ledger.close()
    assert_books_tie(sql)


def test_a_writer_that_was_only_paused_is_put_out_and_stays_out(dsn: str, sql: Sql) -> None:
    """A stopped process keeps its lock; the standby puts it out, and when it goes on it ends without another batch."""
    with other_writer(dsn) as writer:
        os.kill(writer.pid, signal.SIGSTOP)
        assert await_turn(dsn, 0, never, silent_max_seconds=1.5)
        ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
        assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
        os.kill(writer.pid, signal.SIGCONT)
        assert writer.wait(20) != 0
        assert ["posted"] == outcomes(ledger, [moved(2, CASH, USER, 1)])
        ledger.close()
    (_, _, last_old), (_, first_new, _) = sql(BY_FENCE)
    assert last_old < first_new
    assert_books_tie(sql)


def test_a_writer_that_lives_is_left_alone(dsn: str) -> None:
    """A standby waits for as long as the writer beats, also if it posts nothing, and goes when it is told to."""
    ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
    until = time.monotonic() + 3
    assert not await_turn(dsn, 0, lambda: time.monotonic() > until, silent_max_seconds=1.5)
    assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
    ledger.close()
    assert await_turn(dsn, 0, never)
