"""Taking over from a writer that died, or is paused and comes back."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from domain.errors import FencedError
from sinks.ledger import standby
from sinks.ledger.standby import await_release, await_turn
from sinks.ledger.taking import take
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, USER, moved
from tests.sinks.ledger.checks import CUT_OFF, LOCKS, Sql, assert_books_tie, outcomes
from tests.waiting import PATIENCE_SECONDS

pytestmark = [pytest.mark.postgres, pytest.mark.crash]

ROOT = Path(__file__).parents[3]
WRITER = """
import sys
from itertools import count
from sinks.ledger.writer import PostgresLedger
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, USER, moved

ledger = PostgresLedger(sys.argv[1], accounts=ACCOUNTS)
for number in count(1_000_000):
    ledger.post([moved(number, CASH, USER, 1)])
    print(number, flush=True)
"""
BY_FENCE = "SELECT fence, min(batch_id), max(batch_id) FROM ledger.batch GROUP BY fence ORDER BY fence"
FEW_LOOKS = 5


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


def after_looks(number: int) -> Callable[[], bool]:
    """Tell the standby to stop when it has looked so often."""
    looks = iter(range(number))
    return lambda: next(looks, None) is None


def test_a_standby_takes_over_from_a_writer_that_was_killed(dsn: str, sql: Sql) -> None:
    """As soon as the connection of the dead one has ended the shard is free, and the books go on from what it committed."""
    with other_writer(dsn) as writer:
        with pytest.raises(FencedError, match="another writer holds the ledger"):
            PostgresLedger(dsn, accounts=ACCOUNTS)
        writer.kill()
        assert await_turn(dsn, 0, never)
    ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
    assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
    ledger.close()
    assert_books_tie(sql)


def test_a_standby_that_loses_the_database_goes_on_waiting(dsn: str, sql: Sql) -> None:
    """Its connection is ended while it waits; it asks again, and has its turn when the writer has gone."""
    with other_writer(dsn) as writer:
        ended = iter([lambda: sql(CUT_OFF, "ballast standby 0")])

        def stopping() -> bool:
            next(ended, writer.kill)()
            return False

        assert await_turn(dsn, 0, stopping, silent_looks_max=10**9)
    PostgresLedger(dsn, accounts=ACCOUNTS).close()


def test_a_writer_that_was_only_paused_is_put_out_and_stays_out(dsn: str, sql: Sql) -> None:
    """A stopped process keeps its lock; the standby puts it out, and when it goes on it ends without another batch."""
    with other_writer(dsn) as writer:
        os.kill(writer.pid, signal.SIGSTOP)
        assert await_turn(dsn, 0, never, FEW_LOOKS)
        ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
        assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
        os.kill(writer.pid, signal.SIGCONT)
        assert writer.wait(PATIENCE_SECONDS) != 0
        assert ["posted"] == outcomes(ledger, [moved(2, CASH, USER, 1)])
        ledger.close()
    (_, _, last_old), (_, first_new, _) = sql(BY_FENCE)
    assert last_old < first_new
    assert_books_tie(sql)


def test_a_writer_that_lives_is_left_alone(dsn: str) -> None:
    """A standby waits for as long as the writer beats, also if it posts nothing, and goes when it is told to."""
    ledger = PostgresLedger(dsn, accounts=ACCOUNTS)
    assert not await_turn(dsn, 0, after_looks(FEW_LOOKS))
    assert not await_release(dsn, 0)
    assert ["posted"] == outcomes(ledger, [moved(1, CASH, USER, 1)])
    ledger.close()
    assert await_turn(dsn, 0, never)
    assert await_release(dsn, 0)


def test_a_word_now_and_then_is_enough(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence is counted from the last word on, in looks: however long all of them take together, nobody is put out."""
    put_out: list[int] = []
    monkeypatch.setattr(standby, "_put_out", lambda _dsn, shard: put_out.append(shard))
    monkeypatch.setattr(standby, "LOOK_SECONDS", 0)
    with connect(dsn, "writer", "test") as writer:
        fence = take(writer, 0)
        looks = iter(range(4 * FEW_LOOKS))

        def speaking() -> bool:
            look = next(looks, None)
            if look is not None and look % FEW_LOOKS == 0:
                writer.execute(standby._BEAT, {"shard": 0, "fence": fence})
            return look is None

        assert (False, []) == (await_turn(dsn, 0, speaking, FEW_LOOKS), put_out)
        assert (False, [0]) == (await_turn(dsn, 0, after_looks(FEW_LOOKS + 1), FEW_LOOKS), put_out)


def test_a_start_waits_for_a_writer_that_says_nothing(dsn: str) -> None:
    """It may be dead, and the database not have noticed; but not for ever."""
    with connect(dsn, "writer", "test") as writer:
        take(writer, 0)
        assert not await_release(dsn, 0, FEW_LOOKS)
    assert await_release(dsn, 0)


def test_who_closes_has_given_the_shard_back(dsn: str) -> None:
    """Another writer can take it at once, not only when the server has noticed that a connection has ended."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for _ in range(10):
            PostgresLedger(dsn, accounts=()).close()
            assert [] == connection.execute(LOCKS).fetchall()
