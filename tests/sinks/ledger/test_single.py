"""Single postings beside a writer: the same verdicts, the same books, and nobody loses."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import FencedError
from domain.ledger.journal import Layer, Relation, Transaction, reversal_of
from domain.ledger.memory import MemoryLedger
from domain.templates.reversal import reversal
from sinks.ledger.single import post_once
from sinks.postgres import connect
from tests.domain.ledger.ledger_workloads import (
    ACCOUNTS,
    CASH,
    FAST,
    LIMITED,
    USER,
    WORKLOADS,
    captured,
    credit,
    debit,
    ended,
    moved,
    posting,
)
from tests.sinks.ledger.checks import Open, Sql, assert_books_tie, entries_of, outcomes
from tests.sinks.ledger.test_writer import FROZEN_AT_FIRST, salted

pytestmark = pytest.mark.postgres

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def single(dsn: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody who posts now and then."""
    with connect(dsn, "writer", "single") as connection:
        yield connection


FORGED = (
    "INSERT INTO ledger.resolution (cause_tx_id, relation, part, is_final, tx_id) VALUES (%s, %s, %s, %s, gen_random_uuid())"
)


@pytest.mark.parametrize("is_beside", [False, True])
@pytest.mark.parametrize(
    ("forged", "expected"),
    [
        (("voided", 0, True), ["already_voided", "already_voided", None]),
        (("captured", 2, True), ["already_captured", "already_captured", None]),
        (("captured", 1, False), [None, "already_captured", None]),
    ],
)
def test_an_end_that_was_forged_is_an_answer(
    forged: tuple[str, int, bool],
    expected: list[str | None],
    is_beside: bool,
    open_ledger: Open,
    sql: Sql,
    single: psycopg.Connection[Any],
) -> None:
    """Whatever somebody wrote of a hold past all guards, the next one that ends it is answered by name, and work goes on."""
    hold, end = moved(1, CASH, USER, 9, Layer.PENDING), ended(2, moved(1, CASH, USER, 9, Layer.PENDING), Relation.CAPTURES)
    with closing(open_ledger()) as ledger:
        ledger.post([hold])
        sql("SET session_replication_role = replica")
        sql(FORGED, hold.id, *forged)
        acts = [end, ended(3, hold, Relation.VOIDS), moved(4, CASH, USER, 1)]
        verdicts = post_once(single, acts).verdicts if is_beside else ledger.post(acts).verdicts
    assert expected == [verdict.reason for verdict in verdicts]


def test_two_entry_points_give_the_books_of_one(open_ledger: Open, sql: Sql, single: psycopg.Connection[Any]) -> None:
    """Whichever of the two posts which piece of a workload, verdicts, balances and entries are those of one ledger."""
    salts, memory = count(), MemoryLedger(ACCOUNTS)
    with closing(open_ledger(accounts_max=2)) as ledger:
        sql(FROZEN_AT_FIRST)

        @FEW
        @given(WORKLOADS, st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=6))
        def compare(transactions: list[Transaction], turns: list[tuple[int, bool]]) -> None:
            rest: Sequence[Transaction] = salted(transactions, next(salts))
            for number in count():
                size, by_writer = turns[number % len(turns)]
                piece, rest = rest[:size], rest[size:]
                expected = memory.post(piece)
                booked = ledger.post(piece) if by_writer else post_once(single, piece)
                assert list(expected.verdicts) == list(booked.verdicts)
                assert list(expected.balances) == list(booked.balances)
                if not rest:
                    break

        compare()
        again = moved(1000, CASH, USER, 1)
        memory.post([again])
        assert ["posted"] == outcomes(ledger, [again])
        assert memory.balances() == ledger.balances()
    assert memory.entry_rows() == entries_of(sql)
    assert_books_tie(sql)


def test_a_writer_hears_what_others_post(open_ledger: Open, single: psycopg.Connection[Any]) -> None:
    """It is told the balances that others changed, once, and every reversal after the batch that it names."""
    with closing(open_ledger()) as ledger:
        ledger.post([moved(1, CASH, USER, 5), moved(2, CASH, USER, 3)])
        first = ledger.heard(0)
        assert ([], []) == (first.balances, first.taken_back)
        original = moved(1, CASH, USER, 5)
        back = reversal(original, original.effective_at_ms)
        assert back is not None
        booked = post_once(single, [moved(3, CASH, LIMITED, 1), back])
        heard = ledger.heard(first.batch_id)
        assert sorted(booked.balances) == sorted(heard.balances)
        assert [(back.id, original.id)] == [(one.reversal.id, one.original.id) for one in heard.taken_back]
        again = ledger.heard(heard.batch_id)
        assert (heard.batch_id, [], []) == again
        assert ["duplicate", "posted"] == outcomes(ledger, [moved(3, CASH, LIMITED, 1), moved(4, CASH, USER, 1)])
        assert [] == ledger.heard(again.batch_id).balances
        assert [back.id] == [one.reversal.id for one in ledger.heard(0).taken_back]


def test_a_writer_tells_what_a_refused_batch_has_found(open_ledger: Open, single: psycopg.Connection[Any]) -> None:
    """Balances that others changed are told even if the writer has noticed already, by a batch of its own that was refused."""
    with closing(open_ledger()) as ledger:
        ledger.post([moved(1, CASH, USER, 5)])
        heard = ledger.heard(0)
        booked = post_once(single, [moved(2, CASH, LIMITED, 1)])
        assert ["posted"] == outcomes(ledger, [moved(3, CASH, USER, 1)])
        told = ledger.heard(heard.batch_id).balances
        assert sorted(one[:2] for one in booked.balances) == [one[:2] for one in told]
        assert list(told) == ledger.balances([one[:2] for one in told])


def test_a_writer_whose_shard_was_taken_hears_of_it(open_ledger: Open, sql: Sql) -> None:
    """It stops instead of saying balances that another one moves."""
    with closing(open_ledger()) as ledger:
        sql("UPDATE ledger.writer SET fence = fence + 1 WHERE shard = 0")
        with pytest.raises(FencedError, match="another writer has taken shard 0"):
            ledger.heard(0)


def test_writer_and_singles_at_the_same_time_lose_nothing(dsn: str, open_ledger: Open, sql: Sql) -> None:
    """While a writer posts batch after batch, two others post single transactions: each is booked once, and all tie."""
    ledger = open_ledger(batch_max=20)
    done = threading.Event()
    answers: list[str] = []

    def post_singles(first: int) -> None:
        with connect(dsn, "writer", "single") as connection:
            for number in range(first, first + 40):
                (verdict,) = post_once(connection, [moved(number, USER, CASH, 2)]).verdicts
                answers.append(verdict.outcome)

    threads = [threading.Thread(target=post_singles, args=(first,)) for first in (10_000, 20_000)]
    for thread in threads:
        thread.start()
    posted = 0
    while not done.is_set():
        batch = [moved(posted + n, CASH, USER, 3) for n in range(60)]
        assert {"posted"} == set(outcomes(ledger, batch))
        posted += len(batch)
        if not any(thread.is_alive() for thread in threads):
            done.set()
    assert ["posted"] * 80 == answers
    assert sql("SELECT settled FROM ledger.balances WHERE account = 'CASH'") == [(3 * posted - 160,)]
    assert_books_tie(sql)


def test_a_single_posting_needs_no_writer(sql: Sql, open_ledger: Open, single: psycopg.Connection[Any]) -> None:
    """On a ledger whose writer has gone, holds are taken, captured and voided, limits hold, and repeats are answered."""
    open_ledger().close()
    hold = moved(1, FAST, CASH, 40, Layer.PENDING)
    steps = [
        hold,
        moved(2, LIMITED, CASH, 1),
        captured(3, hold, 10, is_final=False),
        ended(4, hold, Relation.VOIDS),
        captured(5, hold, 1),
        moved(6, FAST, CASH, 31),
        posting(7, debit(USER, 5), credit(CASH, 5), cause=reversal_of(hold.id)),
        hold,
    ]
    reasons = [post_once(single, [step]).verdicts[0].reason for step in steps]
    assert [None, "over_limit", None, None, "already_voided", "over_velocity", "not_a_mirror", None] == reasons
    assert sql("SELECT n_duplicates FROM ledger.batch WHERE n_tx + n_rejected = 0") == []
    assert_books_tie(sql)
