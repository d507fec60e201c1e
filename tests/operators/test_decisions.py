"""Decisions are committed before anything that follows from them is handed on."""

from collections.abc import Sequence
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Stream
from bytewax.errors import BytewaxRuntimeError

from domain.messages.decisions import Decision
from domain.streams.records import Progress, Record
from operators.decisions import record_decisions
from operators.streams.feeds import Feed
from tests.operators.steps import run_step
from tests.operators.test_announce import DECISION
from tests.words import START_MS, order_report


def progress(*values: Any) -> Progress:
    """What a desk says at one instant."""
    return Progress("decide/desk-00", START_MS + 1, [Record(START_MS, "decide/desk-00", n, v) for n, v in enumerate(values)])


def test_decisions_are_kept_and_everything_goes_on() -> None:
    """Each decision is kept, in order, and the stream is what it was."""
    kept: list[Decision] = []
    other = DECISION.model_copy(update={"id": "other"})
    said = [progress(DECISION, order_report("a", "open"), other), progress()]
    assert said == run_step(lambda up: record_decisions("record", Feed(up, ()), lambda: kept.extend).stream, said)
    assert [DECISION, other] == kept


def test_what_cannot_be_kept_is_not_handed_on() -> None:
    """When the record fails the flow ends, and nobody downstream has heard of the decision."""
    heard: list[Any] = []

    def fail(_decisions: Sequence[Decision]) -> None:
        msg = "the database is gone"
        raise OSError(msg)

    def step(up: Stream[Any]) -> Stream[Any]:
        kept = record_decisions("record", Feed(up, ()), lambda: fail).stream
        return op.map("hear", kept, lambda item: heard.append(item) or item)

    with pytest.raises(BytewaxRuntimeError):
        run_step(step, [progress(DECISION)])
    assert [] == heard


def test_nothing_is_opened_without_a_decision() -> None:
    """A flow that decides nothing needs no database."""
    said = [progress(order_report("a", "open"))]

    def never() -> Any:
        msg = "opened"
        raise AssertionError(msg)

    assert said == run_step(lambda up: record_decisions("record", Feed(up, ()), never).stream, said)
