"""The ledger's writer as a process of its own: the same answers, and the same books however it ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from itertools import count
from random import Random  # noqa: TID251 - seeded
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.writer import writer_command
from domain.errors import BallastError, FencedError, InvariantError
from domain.ledger.journal import Booked, Transaction
from domain.ledger.memory import MemoryLedger
from sinks.ledger.frames import framed, value_of
from sinks.ledger.process import LedgerProcess
from sinks.ledger.writer import PostgresLedger
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, WORKLOADS, credit, debit, moved, posting
from tests.sinks.ledger.checks import CUT_OFF, LOCKS, Sql, assert_books_tie, entries_of, opened_in_turn
from tests.sinks.ledger.checks import Open as OpenInProcess
from tests.sinks.ledger.test_writer import FEW, FROZEN_AT_FIRST, salted
from tests.waiting import until

pytestmark = pytest.mark.postgres

COMMAND = writer_command("info")
KILLS = 25
Open = Callable[..., LedgerProcess]


@pytest.fixture
def open_process(dsn: str) -> Iterator[Open]:
    """Opens ledgers whose writer is a process, over the test's database and accounts, and closes them."""
    opened: list[LedgerProcess] = []

    def open_one(**settings: Any) -> LedgerProcess:
        opened.append(LedgerProcess(COMMAND, dsn, accounts=ACCOUNTS, **settings))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@given(WORKLOADS)
def test_what_is_packed_comes_back(transactions: list[Transaction]) -> None:
    """Every transaction and every answer that there is comes out of a frame as it went in, of the same types."""
    booked = MemoryLedger(ACCOUNTS).post(transactions)
    assert repr(transactions) == repr(value_of(framed(1, transactions), list[Transaction]))
    assert repr(list(booked.verdicts)) == repr(list(value_of(framed(0, booked), Booked).verdicts))
    assert repr(list(booked.balances)) == repr(list(value_of(framed(0, booked), Booked).balances))


@pytest.mark.parametrize("amount", [2**63, 2**64, 10**37, -(10**37)])
def test_amounts_are_as_large_as_the_ledger_takes(amount: int) -> None:
    """What no 64 bits hold comes back as well."""
    large = [posting(1, debit(CASH, amount), credit(USER, amount))]
    assert repr(large) == repr(value_of(framed(1, large), list[Transaction]))


def test_it_answers_as_the_ledger_in_memory_does(open_process: Open, sql: Sql) -> None:
    """Verdicts and balances are equal on any workload, in any cut, whether runs are asked for one by one or all at once."""
    salts, memory = count(), MemoryLedger(ACCOUNTS)
    open_process().close()
    sql(FROZEN_AT_FIRST)
    with closing(open_process(batch_max=4)) as ledger:

        @FEW
        @given(WORKLOADS, st.integers(1, 9), st.booleans())
        def compare(transactions: list[Transaction], run: int, waits: bool) -> None:
            mine = salted(transactions, next(salts))
            runs = [post[start : start + run] for post in (mine[::2], mine) for start in range(0, len(post), run)]
            asked = [_asked(ledger, one, waits=waits) for one in runs]
            for expected, booked in zip([memory.post(one) for one in runs], asked, strict=True):
                assert list(expected.verdicts) == list(booked.result().verdicts)
                assert list(expected.balances) == list(booked.result().balances)
            assert memory.balances() == ledger.balances()
            keys = {(one.account, one.currency): one for one in memory.balances()[::2]}
            assert memory.balances(keys) == ledger.balances(keys)
            assert [] == ledger.balances({})

        compare()
        assert {one.id for one in memory.open_holds()} == {one.id for one in ledger.open_holds()}
        assert ledger.newest_batch() == ledger.heard(0).batch_id > 0
    assert memory.entry_rows() == entries_of(sql)
    assert_books_tie(sql)


def _asked(ledger: LedgerProcess, run: Sequence[Transaction], *, waits: bool) -> "Future[Booked]":
    asked = ledger.post_soon(run)
    if waits:
        asked.result()
    return asked


def test_a_run_is_answered_with_the_balances_that_it_left(open_process: Open) -> None:
    """Of runs that are asked for at once, no answer knows what a later one does."""
    ledger = open_process()
    asked = [ledger.post_soon([moved(number, CASH, USER, 1)]) for number in range(200)]
    left = [{balance.account: balance.version for balance in one.result().balances} for one in asked]
    assert [{CASH: number, USER: number} for number in range(1, 201)] == left


def test_an_empty_run_waits_for_its_turn(open_process: Open) -> None:
    """Nothing to post is answered, after what was asked before."""
    ledger = open_process()
    first, nothing = ledger.post_soon([moved(1, CASH, USER, 5)]), ledger.post_soon([])
    assert [] == list(nothing.result().verdicts)
    assert first.done()


def test_a_second_writer_is_kept_out(open_process: Open) -> None:
    """While one has the shard, another is told who has it; it is free when given back."""
    first = open_process()
    with pytest.raises(FencedError, match=rf"another writer holds the ledger \(pid {os.getpid()} on .*\); stop it first"):
        open_process()
    first.close()
    assert ["posted"] == [str(one.outcome) for one in open_process().post([moved(1, CASH, USER, 5)]).verdicts]


def test_nothing_is_posted_after_an_error(open_process: Open, sql: Sql) -> None:
    """When the server ends the session every open question hears so, also later ones, and a new writer goes on."""
    ledger = open_process()
    ledger.post([moved(1, CASH, USER, 5)])
    sql(CUT_OFF, "ballast ledger 0")
    asked = []
    with suppress(psycopg.OperationalError):  # what is asked after the end is told at once
        asked += [ledger.post_soon([moved(number, CASH, USER, 5)]) for number in (2, 3, 4)]
    for one in asked:
        with pytest.raises(psycopg.OperationalError):
            one.result()
    with pytest.raises(psycopg.OperationalError):
        ledger.newest_batch()
    assert [(1,)] == sql("SELECT count(*) FROM ledger.tx")
    run = [moved(number, CASH, USER, 5) for number in (1, 2, 3, 4)]
    assert ["duplicate", *["posted"] * 3] == [str(one.outcome) for one in open_process().post(run).verdicts]


def test_errors_are_those_of_the_ledger(open_process: Open, sql: Sql) -> None:
    """A fence that was raised and a database that contradicts come back as what they are."""
    fenced = open_process()
    fenced.post([moved(1, CASH, USER, 5)])
    sql("UPDATE ledger.writer SET fence = fence + 1")
    with pytest.raises(FencedError, match="another writer has taken shard 0"):
        fenced.post([moved(2, CASH, USER, 5)])
    fenced.close()
    contradicted = open_process()
    sql("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE check_violation; END'")
    sql("CREATE TRIGGER refuse BEFORE INSERT ON ledger.tx FOR EACH ROW EXECUTE FUNCTION refuse()")
    with pytest.raises(InvariantError, match="the database refuses what the ledger has accepted"):
        contradicted.post([moved(3, CASH, USER, 5)])


def test_wherever_the_writer_is_killed_what_it_was_asked_is_posted_once(
    open_process: Open, open_ledger: OpenInProcess, sql: Sql
) -> None:
    """Killed with any number of runs under way, it leaves a beginning of them; all of it posted again has been posted once."""
    memory, dice, numbers = MemoryLedger(ACCOUNTS), Random(7), count()
    for _ in range(KILLS):
        ledger = open_process(batch_max=3)
        runs = [[_either(next(numbers)) for _ in range(dice.randint(1, 8))] for _ in range(dice.randint(1, 6))]
        answered = dice.randrange(len(runs))
        asked = [ledger.post_soon(run) for run in runs[: answered + 1]]
        asked[dice.randrange(len(asked))].result()
        with suppress(BallastError):
            asked += [ledger.post_soon(run) for run in runs[answered + 1 :]]
            os.kill(ledger.pid, signal.SIGKILL)
        ledger.close()
        for one in asked:
            assert one.exception() is None or "has ended with -9" in str(one.exception())
        posted = [_is_posted(sql, transaction) for run in runs for transaction in run]
        assert sorted(posted, reverse=True) == posted
        again = opened_in_turn(open_ledger)
        for run in runs:
            expected, booked = memory.post(run), again.post(run)
            assert [one.reason for one in expected.verdicts] == [one.reason for one in booked.verdicts]
        assert memory.balances() == again.balances()
        again.close()
    assert memory.entry_rows() == entries_of(sql)
    assert_books_tie(sql)


def _either(number: int) -> Transaction:
    """One to post, or each third time one to reject."""
    return moved(number, CASH, USER, 5) if number % 3 else moved(number, LIMITED, CASH, 99)


def _is_posted(sql: Sql, transaction: Transaction) -> bool:
    """Whether the ledger has answered it."""
    counted = (
        "SELECT (SELECT count(*) FROM ledger.tx WHERE tx_id = %s) + (SELECT count(*) FROM ledger.reject WHERE tx_id = %s)"
    )
    return bool(sql(counted, transaction.id, transaction.id)[0][0])


ASKER = """
import sys
from app.workers.writer import writer_command
from sinks.ledger.process import LedgerProcess
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, USER, moved
ledger = LedgerProcess(writer_command("info"), sys.stdin.readline().strip(), accounts=ACCOUNTS)
print(ledger.pid, flush=True)
if sys.argv[1] == "ends":
    ledger.post([moved(1, CASH, USER, 5)])
else:
    for number in range(1_000_000):
        ledger.post_soon([moved(number, CASH, USER, 5)])
"""


@pytest.mark.parametrize("how", ["ends", "is killed"])
def test_it_ends_with_whoever_asks_it(how: str, dsn: str, sql: Sql) -> None:
    """However the process that asks comes to its end, that of the writer is gone, and the shard is free for the next."""
    PostgresLedger(dsn, accounts=ACCOUNTS).close()
    with subprocess.Popen(
        [sys.executable, "-c", ASKER, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as asker:
        assert asker.stdin is not None
        assert asker.stdout is not None
        print(dsn, file=asker.stdin, flush=True)
        pid = int(asker.stdout.readline())
        until(lambda: sql("SELECT count(*) FROM ledger.tx")[0][0] > 0, "something to be posted")
        if how == "is killed":
            asker.kill()
    until(lambda: not _lives(pid), "the writer to end")
    until(lambda: not sql(LOCKS), "the shard to be free")
    assert (0 if how == "ends" else -signal.SIGKILL) == asker.returncode
    assert_books_tie(sql)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
