"""The ledger in Postgres when something fails: crashes, lost connections, and other writers."""

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from threading import current_thread
from typing import Any

import psycopg
import pytest

from domain.errors import FencedError
from domain.ledger.journal import Transaction
from domain.ledger.memory import MemoryLedger
from sinks.ledger.writer import PostgresLedger
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, moved
from tests.sinks.ledger.checks import CUT_OFF, Open, Sql, assert_books_tie, entries_of, opened_in_turn, outcomes

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True, params=[0, 20])
def small_max(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways of writing a batch: a statement for each table, and one for all."""
    monkeypatch.setattr("sinks.ledger.writing.TRANSACTIONS_MAX", request.param)


class Injected(psycopg.OperationalError):
    """The failure of a test."""


def is_beat() -> bool:
    """Whether it is the writer's sign of life that talks: it has a connection of its own, and is in no batch."""
    return current_thread().name.startswith("beat-")


def kill_at(monkeypatch: pytest.MonkeyPatch, number: int, *, answered: bool) -> list[int]:
    """Let the connection die at the talk with the server of this number, before it or after the server has answered."""
    talks = [0]
    wait = psycopg.Connection.wait

    def counted(self: Any, *arguments: Any, **options: Any) -> Any:
        if is_beat():
            return wait(self, *arguments, **options)
        talks[0] += 1
        answer = wait(self, *arguments, **options) if answered or talks[0] != number else None
        if talks[0] == number:
            self.pgconn.finish()
            raise Injected
        return answer

    monkeypatch.setattr(psycopg.Connection, "wait", counted)
    return talks


def refuse_at(monkeypatch: pytest.MonkeyPatch, number: int) -> list[int]:
    """Let the statement of this number fail without being sent."""
    statements = [0]

    def counted(original: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **options: Any) -> Any:
            statements[0] += not is_beat()
            if statements[0] == number and not is_beat():
                raise Injected
            return original(*arguments, **options)

        return called

    monkeypatch.setattr(psycopg.Cursor, "execute", counted(psycopg.Cursor.execute))
    monkeypatch.setattr(psycopg.Cursor, "copy", counted(psycopg.Cursor.copy))
    return statements


def batch_of(number: int) -> list[Transaction]:
    """One to post, one to reject and one in conflict."""
    base = 10 * number
    return [moved(base, CASH, USER, 5), moved(base + 1, LIMITED, CASH, 99), moved(base, CASH, USER, 6)]


def opened_again(open_ledger: Open, **options: Any) -> PostgresLedger:
    """A new writer after one that was lost."""
    return opened_in_turn(lambda: open_ledger(**options))


@pytest.mark.parametrize("answered", [False, True])
def test_a_crash_between_any_two_statements_leaves_no_trace(
    open_ledger: Open, sql: Sql, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """Wherever a writer dies, its batch is there whole or not at all, and posting it again has posted it once."""
    memory = MemoryLedger(ACCOUNTS)
    for number in count(1):
        ledger, batch = opened_again(open_ledger), batch_of(number)
        memory.post(batch)
        with monkeypatch.context() as patched:
            talks = kill_at(patched, number, answered=answered)
            with suppress(psycopg.Error):
                ledger.post(batch)
        ledger.close()
        if talks[0] < number:
            break
        found = sql("SELECT (SELECT count(*) FROM ledger.tx), (SELECT count(*) FROM ledger.reject)")[0]
        assert found in {(number - 1, number - 1), (number, number)}
        ledger = opened_again(open_ledger)
        assert outcomes(ledger, batch)[1:] == ["rejected", "conflict"]
        assert memory.balances() == ledger.balances()
        ledger.close()
    assert number > 5
    assert memory.entry_rows() == entries_of(sql)
    assert_books_tie(sql)


@pytest.mark.parametrize("answered", [False, True])
def test_a_crash_while_the_next_batch_is_folded_leaves_a_beginning(
    open_ledger: Open, sql: Sql, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """Of a run of batches some first ones are there, and posting all of it again has posted each once."""
    memory = MemoryLedger(ACCOUNTS)
    for number in count(1):
        ledger = opened_again(open_ledger, batch_max=3)
        batches = [batch_of(3 * number + turn) for turn in range(3)]
        run = [transaction for batch in batches for transaction in batch]
        memory.post(run)
        with monkeypatch.context() as patched:
            talks = kill_at(patched, number, answered=answered)
            with suppress(psycopg.Error):
                ledger.post(run)
        posted = sql("SELECT tx_id::TEXT FROM ledger.tx WHERE tx_id = ANY(%s::UUID[])", [one.id for one in run])
        assert {one for (one,) in posted} in [{batch[0].id for batch in batches[:done]} for done in range(4)]
        with suppress(psycopg.Error):
            ledger.close()
        ledger = opened_again(open_ledger)
        assert [outcome for outcome in outcomes(ledger, run) if outcome != "duplicate"][-2:] == ["rejected", "conflict"]
        assert memory.balances() == ledger.balances()
        ledger.close()
        if talks[0] < number:
            break
    assert number > 12
    assert memory.entry_rows() == entries_of(sql)


def test_a_statement_that_fails_leaves_no_trace(open_ledger: Open, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever statement of a batch fails, none of it stays, and the same writer posts it when it is tried again."""
    ledger, memory = open_ledger(), MemoryLedger(ACCOUNTS)
    for number in count(1):
        batch = batch_of(number)
        memory.post(batch)
        with monkeypatch.context() as patched:
            statements = refuse_at(patched, number)
            try:
                ledger.post(batch)
            except Injected:
                assert statements[0] == number
        if statements[0] < number:
            break
        assert sql("SELECT count(*) FROM ledger.tx") == [(number - 1,)]
        assert outcomes(ledger, batch) == ["posted", "rejected", "conflict"]
        assert memory.balances() == ledger.balances()
    assert number > 3
    assert memory.entry_rows() == entries_of(sql)
    assert_books_tie(sql)


def test_a_lost_connection_is_an_error_and_the_next_writer_goes_on(open_ledger: Open, sql: Sql) -> None:
    """When the server ends the session, posting fails, nothing is lost, and a new writer takes over."""
    ledger = open_ledger()
    ledger.post([moved(1, CASH, USER, 5)])
    sql(CUT_OFF, "ballast ledger 0")
    with pytest.raises(psycopg.OperationalError):
        ledger.post([moved(2, CASH, USER, 5)])
    assert outcomes(open_ledger(), [moved(1, CASH, USER, 5), moved(2, CASH, USER, 5)]) == ["duplicate", "posted"]


def test_a_second_writer_is_kept_out(open_ledger: Open) -> None:
    """While one has the shard, another is told who has it; other shards are free, and it is when given back."""
    first = open_ledger()
    with pytest.raises(FencedError, match=r"another writer holds the ledger \(pid \d+ on .*since .*\); stop it first"):
        open_ledger()
    open_ledger(shard=1)
    first.close()
    open_ledger()


def test_a_writer_that_lost_its_lock_is_fenced(open_ledger: Open, sql: Sql) -> None:
    """The old writer cannot write any more, the new one goes on, and the books tie."""
    old = open_ledger()
    old.post([moved(1, CASH, USER, 5)])
    old._connection.execute("SELECT pg_advisory_unlock_all()")
    new = open_ledger()
    for _ in range(2):
        with pytest.raises(FencedError):
            old.post([moved(2, CASH, USER, 5)])
    assert outcomes(new, [moved(2, CASH, USER, 5)]) == ["posted"]
    assert_books_tie(sql)


def test_balances_that_somebody_else_changed_stop_the_writer(open_ledger: Open, sql: Sql) -> None:
    """A version that is not the one expected means that somebody got around the guards."""
    ledger = open_ledger()
    ledger.post([moved(1, CASH, USER, 5)])
    sql("SET session_replication_role = replica")
    sql("UPDATE ledger.balance SET version = version + 1")
    with pytest.raises(FencedError):
        ledger.post([moved(2, CASH, USER, 5)])
