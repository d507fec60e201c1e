"""All flows in one: a leg at one end, a hedge order at the other; and the shape that saved state depends on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import TestingSource, run_main

from app.replaying import memory_parts, topic_lines
from app.shape import shape_of
from connectors.recorded import Recorded
from domain import topics
from domain.memory_ledger import MemoryLedger
from domain.memory_reservations import MemoryReservations
from domain.messages import Message
from domain.streams import Outgoing
from flows import everything, execution, hedging, liability
from flows.parts import Parts
from tests.flows.runs import EVERY_LEG, Run, run, said_on
from tests.flows.streams import (
    SETTINGS,
    START_MS,
    live_trades,
    order_report,
    pair,
    pockets,
    position,
    recorded,
    tick,
)

SECONDS = range(0, 12_000, 1_000)


def a_busy_ten_seconds() -> Recorded:
    """Two users buy dollars while the exchange reports a flat account, and a person types garbage."""
    legs: list[tuple[int, Message | bytes]] = [(100 + n, one) for n, one in enumerate(pair("1", 600_000))]
    legs += [(4_000 + n, one) for n, one in enumerate(pair("2", 400_000, second=3))]
    return recorded(
        {
            "dealer.transactions/1": [*legs, (4_500, b"oops")],
            "market.ticks": [(ms, tick(at_ms=START_MS + ms)) for ms in SECONDS],
            "venue.positions": [(ms, position(0, ms, START_MS + ms)) for ms in SECONDS],
            "venue.balances": [(ms, pockets(sequence=ms, at_ms=START_MS + ms)) for ms in SECONDS],
        }
    )


TAPES = a_busy_ten_seconds()


def test_a_trade_is_hedged() -> None:
    """What users bought is booked, and the desk asks for the short that covers it, without a hop through the broker."""
    said = run(TAPES, batch_size=1)
    assert [("b1", "u1"), ("b2", "u2")] == live_trades(said.ledger)
    (order,) = (json.loads(value) for value in said_on(said, topics.HEDGING_ORDERS))
    assert ("sell", -59) == (order["action"], order["contracts"])


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("batch_size", [1, 2, 7, 100, 1000])
def test_the_books_are_the_same_however_they_are_read(batch_size: int, workers: int) -> None:
    """The ledger is row by row the same for every batch size and number of workers."""
    assert run(TAPES).books == run(TAPES, batch_size=batch_size, workers=workers).books


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_two_replays_are_byte_equal(batch_size: int) -> None:
    """Everything that a replay would put on topics is the same, byte for byte."""
    one, other = (topic_lines(run(TAPES, batch_size=batch_size).outgoing) for _ in range(2))
    assert one == other
    assert one["hedging.decisions"]


@pytest.mark.parametrize("crash_at", [1, 3, 5])
def test_a_crash_in_the_middle(crash_at: int, tmp_path: Path) -> None:
    """After a crash the whole treasury goes on to the same books."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(TAPES, ledger=ledger, batch_size=1, crash_at=crash_at, recovery=store)
    assert run(TAPES).books == run(TAPES, ledger=ledger, recovery=store, memory=EVERY_LEG).books


# The whole treasury, execution included.


def executed(reservations: MemoryReservations, said_by_venue: list[tuple[str, Message]]) -> Run:
    """Run everything, with an exchange that says these."""
    said = Run([], MemoryLedger())
    parts = memory_parts(SETTINGS, TAPES, said.ledger, said.outgoing, 1)
    joined = {"gateway": TestingSource(said_by_venue), "open_reservations": lambda: reservations}
    run_main(everything.flow(Parts(**(vars(parts) | joined))))
    return said


def test_an_order_is_reserved_before_anything_is_sent() -> None:
    """An order that was decided has its slot in the table of reservations, and the exchange's words are passed on."""
    reservations, word = MemoryReservations(lambda: START_MS), order_report("o", "filled", 3)
    said = executed(reservations, [("venue.orders", word)])
    (order,) = (json.loads(value) for value in said_on(said, topics.HEDGING_ORDERS))
    assert [order["client_order_id"]] == [
        row.client_id for row in reservations.open_rows("simulated") if row.what == "order"
    ]
    assert ["o"] == [json.loads(value)["client_order_id"] for value in said_on(said, topics.VENUE_ORDERS)]


def test_a_refused_order_is_answered() -> None:
    """When the slot is taken, the refusal goes back on the topic that the desk reads."""
    reservations = MemoryReservations(lambda: START_MS)
    executed(reservations, [])
    taken = reservations.open_rows("simulated")
    later = recorded({})
    assert taken
    orders = [(0, row.request.model_copy(update={"client_order_id": "other"})) for row in taken if row.what == "order"]
    tapes = {**later, ("hedging.orders", 0): recorded({"hedging.orders": orders})["hedging.orders", 0]}
    outgoing: list[Outgoing] = []
    parts = memory_parts(SETTINGS, {**tapes, ("hedging.transfers", 0): []}, MemoryLedger(), outgoing, 1)
    run_main(execution.flow(Parts(**(vars(parts) | {"open_reservations": lambda: reservations}))))
    (answer,) = (json.loads(message.value) for message in outgoing if message.topic == "venue.orders")
    assert ("other", "refused") == (answer["client_order_id"], answer["state"])


# The shape of saved state.

STEPS = Path(__file__).parent / "steps.json"
FLOWS: dict[str, Callable[[Parts], Dataflow]] = {
    "everything": everything.flow,
    "execution": execution.flow,
    "hedging": hedging.flow,
    "liability": liability.flow,
    "replay": everything.replay,
}


def steps_of(name: str) -> list[str]:
    """The ids of the steps of a flow that keep state."""
    partitions: Recorded = {(topic.name, partition): [] for topic in topics.ALL for partition in range(topic.partitions)}
    parts = memory_parts(SETTINGS, partitions, MemoryLedger(), [], 1)
    steps: list[str] = shape_of(FLOWS[name](parts), [], 8, 1)["steps"]
    return steps


@pytest.mark.parametrize("name", FLOWS)
def test_step_ids_are_frozen(name: str) -> None:
    """A step that is renamed starts empty without a word, so a change here must be meant, and needs a way to move state."""
    assert json.loads(STEPS.read_text())[name] == steps_of(name)
