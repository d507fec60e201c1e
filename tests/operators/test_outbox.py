"""Reserving: what is reserved is silent, what is refused is answered, in the order in which it was decided."""

from typing import Any

import pytest

from domain.memory_reservations import MemoryReservations
from domain.messages import HedgeOrder
from domain.streams import Progress
from operators.reserving import is_wanted, refusal, reserve
from operators.routing import gather, ungrouped
from tests.flows.streams import START_MS, record, tick
from tests.operators.steps import run_step
from tests.operators.test_announce import DECISION, ORDER, TRANSFER

SECOND_ORDER = ORDER.model_copy(update={"client_order_id": "o2", "decision_id": "d3"})


def reserved(reservations: MemoryReservations, *batches: list[Any]) -> list[Any]:
    """What is said when these were decided, batch by batch."""
    said = [
        Progress("decide/desk-00", START_MS, [record(value, START_MS + n) for n, value in enumerate(batch)])
        for batch in batches
    ]
    out = run_step(
        lambda up: ungrouped("said", reserve("reserve", gather("all", up, "venue-00"), lambda: reservations)), said, 1
    )
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
    assert [("reserve/venue-00", 0), ("reserve/venue-00", 1)] == [(r.source, r.offset) for r in answers]


@pytest.mark.parametrize(("wanted", "name"), [(ORDER, "client_order_id"), (TRANSFER, "client_transfer_id")])
def test_a_refusal_names_what_it_refuses(wanted: Any, name: str) -> None:
    """An order's refusal is an order report, a transfer's a transfer report, and no reason is too long for it."""
    said = refusal(wanted, "x" * 999, START_MS)
    assert (getattr(wanted, name), wanted.venue, "x" * 256) == (getattr(said, name), said.venue, said.reason)
    assert isinstance(wanted, HedgeOrder) == hasattr(said, "client_order_id")


def test_only_orders_and_transfers_are_wanted() -> None:
    """Decisions and anything else pass by."""
    assert [True, True, False, False] == [is_wanted(record(value)) for value in (ORDER, TRANSFER, DECISION, tick())]
