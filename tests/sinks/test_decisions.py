"""Recorded decisions: as they were taken, once, and for ever."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.hedging.desk import Desk
from domain.hedging.policy import Book, Policy
from domain.messages.decisions import Decision
from sinks.decisions import Decisions
from tests.operators.test_announce import DECISION
from tests.sinks.ledger.checks import Sql
from tests.words import START_MS, VENUE, liability, pockets, position, record, tick

pytestmark = pytest.mark.postgres


def taken() -> list[Decision]:
    """Decisions of a real desk."""
    words = (liability(1_000_000), position(), pockets(), tick())
    answers = Desk(Book("main", VENUE)).apply(START_MS, [record(word) for word in words])
    return [answer for answer in answers if isinstance(answer, Decision)]


def write(dsn: str, *batches: list[Decision]) -> None:
    """Write batches one after the other."""
    keeping = Decisions(dsn, [Policy()])
    for batch in batches:
        keeping.record(batch)
    keeping.close()


def test_a_decision_is_recorded_with_its_inputs(dsn: str, sql: Sql) -> None:
    """Everything that a decision says is in its row."""
    decisions = taken()
    write(dsn, decisions)
    rows = {
        row[0]: row[1:]
        for row in sql("SELECT id, kind, action, rule, reason, amount, unit, inputs, as_of FROM treasury.decision")
    }
    assert {
        one.id: (
            one.kind,
            one.action,
            one.rule,
            one.reason,
            one.amount,
            one.unit,
            one.inputs,
            datetime.fromtimestamp(one.as_of / 1000, UTC),
        )
        for one in decisions
    } == rows


def test_a_replay_records_nothing_twice(dsn: str, sql: Sql) -> None:
    """The same decision again, as after a crash, changes nothing."""
    decisions = taken()
    write(dsn, decisions, decisions)
    write(dsn, decisions, [])
    assert [(len(decisions),)] == sql("SELECT count(*) FROM treasury.decision")


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": -(10**30), "reason": "ü€😀"},
        {"repeats": 10**6, "refused": ["buy: in band"]},
        {"as_of": 0},
        {"as_of": 1},
        {"inputs": {"price_usd": "42000.5", "liability_cents": 10**30, "order_in_flight": None}},
    ],
)
def test_any_decision_can_be_recorded(dsn: str, sql: Sql, changes: dict[str, Any]) -> None:
    """Large amounts, any text and any time are kept to the last digit."""
    decision = DECISION.model_copy(update={"policy_version": Policy().version, **changes})
    write(dsn, [decision])
    (row,) = sql(
        "SELECT amount, reason, repeats, refused, inputs, (extract(epoch FROM as_of) * 1000)::bigint FROM treasury.decision"
    )
    assert (
        decision.amount,
        decision.reason,
        decision.repeats,
        decision.refused,
        decision.inputs,
        decision.as_of,
    ) == row
