"""Reserving: what is reserved is silent, what is refused is answered, in the order in which it was decided."""

from typing import Any

from domain.outbox.memory import MemoryReservations
from domain.streams.records import Progress
from operators.outbox import reserve
from operators.streams.feeds import Feed
from tests.operators.steps import run_step
from tests.operators.test_announce import DECISION, ORDER, TRANSFER
from tests.words import START_MS, record

SECOND_ORDER = ORDER.model_copy(update={"client_order_id": "o2", "decision_id": "d3"})


def reserved(reservations: MemoryReservations, *batches: list[Any]) -> list[Any]:
    """What is said when these were decided, batch by batch."""
    said = [
        Progress("decide/desk-00", START_MS, [record(value, START_MS + n) for n, value in enumerate(batch)])
        for batch in batches
    ]
    out = run_step(lambda up: reserve("reserve", Feed(up, ("decide/desk-00",)), lambda: reservations).stream, said, 1)
    assert [START_MS] * len(out) == [progress.watermark_ms for progress in out]
    return [r for progress in out for r in progress.records]


def test_what_is_reserved_is_written_and_silent() -> None:
    """An order and a transfer each get their slot; whoever reads the table sends them."""
    reservations = MemoryReservations(lambda: START_MS)
    assert [] == reserved(reservations, [DECISION, ORDER, TRANSFER])
    assert ["o1", "t1"] == [row.client_id for row in reservations.open_rows(ORDER.venue)]


def test_a_repeat_is_not_refused() -> None:
    """The same order again, as after a crash, has its slot already."""
    assert [] == reserved(MemoryReservations(lambda: START_MS), [ORDER], [ORDER, TRANSFER, TRANSFER])


def test_a_second_order_is_refused() -> None:
    """While a slot is taken the next order is answered with a refusal that says by which."""
    (answer,) = reserved(MemoryReservations(lambda: START_MS), [ORDER, SECOND_ORDER])
    assert ("o2", "refused", "d3", START_MS + 1) == (
        answer.value.client_order_id,
        answer.value.state,
        answer.value.decision_id,
        answer.value.as_of,
    )
    assert "o1" in answer.value.reason


def test_refusals_are_numbered_over_batches() -> None:
    """Each answer has coordinates of its own, whatever the batches."""
    third = ORDER.model_copy(update={"client_order_id": "o3"})
    answers = reserved(MemoryReservations(lambda: START_MS), [ORDER, SECOND_ORDER], [third])
    assert [("reserve/outbox-00", 0), ("reserve/outbox-00", 1)] == [(r.source, r.offset) for r in answers]


def test_what_was_decided_an_hour_ago_is_refused() -> None:
    """After an outage stream time is the past: nothing is written down, and whoever decided hears why."""
    reservations = MemoryReservations(lambda: START_MS + 3_600_000)
    answers = reserved(reservations, [ORDER, TRANSFER])
    assert ["decided on facts 3600 s old"] * 2 == [r.value.reason for r in answers]
    assert ["refused"] * 2 == [r.value.state for r in answers]
    assert [] == reservations.open_rows(ORDER.venue)
