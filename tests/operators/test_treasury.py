"""What the treasury says is recorded before anything that follows from it is handed on."""

from collections.abc import Sequence
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Stream
from bytewax.errors import BytewaxRuntimeError

from domain.messages.fields import Message
from operators.streams.feeds import Feed
from operators.treasury import recorded
from tests.operators.steps import run_step
from tests.operators.test_decisions import progress
from tests.sinks.treasury_words import THRESHOLDS, job, level


class Keeping:
    """Records that remember what they were given, or fail."""

    def __init__(self, fails: bool = False) -> None:
        self.kept: list[list[Message]] = []
        self.fails = fails

    def record(self, messages: Sequence[Message]) -> None:
        if self.fails:
            msg = "the database is gone"
            raise OSError(msg)
        self.kept.append(list(messages))


def test_messages_are_recorded_together_and_everything_goes_on() -> None:
    """All messages of a batch are one call, in their order, what is no message is passed over, and the stream is what it was."""
    keeping, said = Keeping(), [progress(THRESHOLDS, "no message", job("j1", 1, "pending")), progress(), progress(level(1))]
    assert said == run_step(lambda up: recorded("record", Feed(up, ()), lambda: keeping).stream, said)
    assert [THRESHOLDS, job("j1", 1, "pending"), level(1)] == [one for batch in keeping.kept for one in batch]


def test_what_cannot_be_recorded_is_not_handed_on() -> None:
    """When the record fails the flow ends, and nobody downstream has heard of the job."""
    heard: list[Any] = []

    def step(up: Stream[Any]) -> Stream[Any]:
        kept = recorded("record", Feed(up, ()), lambda: Keeping(fails=True)).stream
        return op.map("hear", kept, lambda item: heard.append(item) or item)

    with pytest.raises(BytewaxRuntimeError):
        run_step(step, [progress(job("j1", 1, "pending"))])
    assert [] == heard


def test_nothing_is_opened_without_a_message() -> None:
    """A flow that says nothing needs no database."""

    def never() -> Any:
        msg = "opened"
        raise AssertionError(msg)

    said = [progress("no message"), progress()]
    assert said == run_step(lambda up: recorded("record", Feed(up, ()), never).stream, said)
