"""Tallies: whatever is written, by whom and how often, they are what counting comes to."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import count

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.errors import Rejection
from domain.hedging.policy import Policy
from domain.messages.decisions import Decision
from domain.outbox import kinds
from domain.outbox.lifecycle import ExecutionPolicy
from sinks.decisions import Decisions
from sinks.outbox import PostgresOutbox
from sinks.quarantine import QuarantineSink
from tests.domain.ledger.ledger_workloads import CASH, LIMITED, USER, moved
from tests.operators.test_announce import DECISION, ORDER
from tests.sinks.ledger.checks import Open, Sql, assert_books_tie
from tests.words import START_MS

pytestmark = pytest.mark.postgres

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TALLIED = "SELECT subject, label, n FROM treasury.tally WHERE n > 0 ORDER BY 1, 2"
COUNTED = """
    SELECT 'decision', kind, count(*) FROM treasury.decision GROUP BY 2
    UNION ALL SELECT 'hold', kind || '/' || rule, count(*) FROM treasury.decision WHERE action = 'hold' GROUP BY 2
    UNION ALL SELECT 'quarantine', topic, count(*) FROM treasury.quarantine GROUP BY 2
    UNION ALL SELECT 'request', kind || '/' || state, count(*) FROM treasury.request GROUP BY 2
    ORDER BY 1, 2
"""
KINDS = st.tuples(
    st.sampled_from(["hedge", "funding"]), st.sampled_from(["hold", "sell"]), st.sampled_from(["stale", "open"])
)
BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 9), KINDS), max_size=6), max_size=6)
TOPICS = st.sampled_from(["market.ticks", "venue.fills"])
REFUSED = st.lists(st.lists(st.tuples(TOPICS, st.integers(0, 5)), max_size=6), max_size=6)


def decision(name: str, kind: str, action: str, rule: str) -> Decision:
    """A decision that differs from others in what is counted."""
    told = {"id": name, "kind": kind, "action": action, "rule": rule, "policy_version": Policy().version}
    return DECISION.model_copy(update=told)


def assert_counted(sql: Sql) -> None:
    """Tallies and counts are the same rows."""
    assert sql(COUNTED) == sql(TALLIED)


def test_decisions_are_counted_by_kind_and_holds_by_rule(dsn: str, sql: Sql) -> None:
    """Batches of any decisions, with some of them told again in the same batch or a later one, are counted once each."""
    salts = count()
    with closing(Decisions(dsn, [Policy()])) as keeping:

        @FEW
        @given(BATCHES)
        def compare(batches: list[list[tuple[int, tuple[str, str, str]]]]) -> None:
            salt = next(salts)
            for batch in batches:
                keeping.record([decision(f"{salt}-{number}", *what) for number, what in batch])
            assert_counted(sql)

        compare()
    assert sql(TALLIED)


def test_messages_in_quarantine_are_counted_by_topic(dsn: str, sql: Sql) -> None:
    """Batches of any topics are counted, and a replay of them is not."""
    salts = count()
    keeping = QuarantineSink(dsn).build_part("to_quarantine", "quarantine-0", None)

    @FEW
    @given(REFUSED)
    def compare(batches: list[list[tuple[str, int]]]) -> None:
        raw = f"{next(salts)}".encode()
        for batch in batches * 2:
            keeping.write_batch([Rejection("not_json", "", topic, 0, offset, None, raw) for topic, offset in batch])
        assert_counted(sql)

    compare()
    keeping.close()
    assert sql(TALLIED)


def test_what_is_rolled_back_is_not_counted(dsn: str, sql: Sql) -> None:
    """A tally and the rows that it counts are of one transaction."""
    with closing(Decisions(dsn, [Policy()])) as keeping:
        keeping.record([decision("kept", "hedge", "hold", "stale")])
    with psycopg.connect(dsn) as connection, suppress(ZeroDivisionError), connection.transaction():
        connection.execute("INSERT INTO treasury.quarantine VALUES ('market.ticks', 0, 1, 'r', 'd', NULL, 'x')")
        assert connection.execute("SELECT n FROM treasury.tally WHERE subject = 'quarantine'").fetchall() == [(1,)]
        raise ZeroDivisionError
    assert [("decision", "hedge", 1), ("hold", "hedge/stale", 1)] == sql(TALLIED)


def test_several_may_decide_at_once(dsn: str, sql: Sql) -> None:
    """Batches that name the same kinds in opposite orders, written side by side, wait for each other and never in a circle."""

    def decide(who: int) -> None:
        kinds = ["hedge", "funding"] if who % 2 else ["funding", "hedge"]
        with closing(Decisions(dsn, [Policy()])) as keeping:
            for turn in range(30):
                keeping.record([decision(f"{who}-{turn}-{kind}", kind, "hold", f"rule-{turn % 3}") for kind in kinds])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(decide, range(4)))
    assert_counted(sql)
    assert [(240,)] == sql("SELECT sum(n)::INT FROM treasury.tally WHERE subject = 'decision'")


def test_postings_are_counted_by_shard_template_and_outcome(open_ledger: Open, sql: Sql) -> None:
    """What is posted, rejected or in conflict is counted; repeats are not, and neither is a batch that was refused."""
    ledger = open_ledger()
    first, other = moved(1, CASH, USER, 5), moved(1, CASH, USER, 6)
    ledger.post([first, moved(2, LIMITED, CASH, 99), first, other, moved(3, CASH, USER, 5)])
    ledger.post([first, other])
    expected = [("conflict", 1), ("posted", 2), ("rejected", 1)]
    assert expected == sql("SELECT outcome, n FROM ledger.tally WHERE shard = 0 ORDER BY 1")
    assert_books_tie(sql)


STEPS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["sent", "unknown", "open", "filled", "rejected"])), max_size=12
)


def test_requests_are_counted_by_state(dsn: str, sql: Sql) -> None:
    """Whatever becomes of orders, in whatever order and told however often, the tally has each once, in its present state."""
    salts = count()
    with closing(PostgresOutbox(dsn, lambda: START_MS, ExecutionPolicy())) as outbox:

        @FEW
        @given(STEPS)
        def compare(steps: list[tuple[int, str]]) -> None:
            salt = next(salts)
            for number in range(4):
                update = {
                    "client_order_id": f"{salt}-{number}",
                    "decision_id": f"{salt}-{number}",
                    "venue": f"v{salt}-{number}",
                }
                outbox.reserve(ORDER.model_copy(update=update))
            for number, state in steps:
                row = outbox.row(kinds.ORDER, f"{salt}-{number}")
                assert row is not None
                outbox.record(row._replace(state=state), START_MS)
            assert_counted(sql)

        compare()
