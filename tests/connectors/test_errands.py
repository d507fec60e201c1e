"""The errands of a counterparty: what its answers do to a request, whoever it is."""

import pytest

from connectors.answers import NotFound, Refused, Unknown
from connectors.errands import Errand, Errands
from domain.outbox.kinds import CONVERSION
from domain.outbox.lifecycle import ExecutionPolicy, Says
from domain.outbox.memory import MemoryReservations
from tests.connectors.providers.asking import client_id, conversion

POLICY = ExecutionPolicy(decision_age_max_ms=5_000, deadline_ms=1_000, visible_within_ms=500, ask_interval_ms=100)
DONE = Says("completed", 0, 1, None)
Answer = Says | Exception


def state_after(sent: Answer, asked: Answer, rounds: int = 40) -> str:
    """Return the state of a request after some rounds in which it was answered like this."""
    times = [0]
    store = MemoryReservations(lambda: times[-1], POLICY)
    errand = Errand(lambda *_: answered(sent), lambda *_: answered(asked))
    errands = Errands("sim", store, lambda: times[-1], POLICY, {CONVERSION: errand})
    errands.work()
    store.reserve(conversion(1))
    for _ in range(rounds):
        errands.work()
        times.append(times[-1] + 100)
    row = store.row(CONVERSION, client_id(1))
    assert row is not None
    assert [row.state] == [report.state for report in errands.reports()][-1:]  # type: ignore[attr-defined]
    return row.state


def answered(answer: Answer) -> Says:
    """Give an answer, or raise it."""
    if isinstance(answer, Exception):
        raise answer
    return answer


@pytest.mark.parametrize(
    ("sent", "asked", "state"),
    [
        (DONE, Unknown(), "completed"),
        (Says("processing", 0, 1, None), DONE._replace(sequence=2), "completed"),
        (Says("processing", 0, 2, None), DONE._replace(sequence=1), "processing"),
        (Refused("no", "never"), DONE, "failed"),
        (Unknown(), DONE, "completed"),
        (Unknown(), NotFound(), "not_sent"),
        (Unknown(), Unknown(), "unknown"),
        (Unknown(), Refused("unauthorized", "who are you?"), "unknown"),
        (NotFound(), NotFound(), "not_sent"),
        (NotFound(), DONE, "completed"),
    ],
)
def test_what_answers_do_to_a_request(sent: Answer, asked: Answer, state: str) -> None:
    """A definite word ends it; whoever does not answer a question, or refuses to, says nothing about the request."""
    assert state == state_after(sent, asked)


def test_what_belongs_to_another_is_left_alone() -> None:
    """A counterparty that speaks of a request that was made to somebody else changes nothing."""
    store = MemoryReservations(lambda: 0, POLICY)
    store.reserve(conversion(1, provider="other"))
    errands = Errands("sim", store, lambda: 0, POLICY, {})
    errands.settle(CONVERSION, client_id(1), DONE)
    errands.settle(CONVERSION, client_id(2), DONE)
    row = store.row(CONVERSION, client_id(1))
    assert row is not None
    assert "reserved" == row.state
