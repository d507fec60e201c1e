"""All flows in one: a leg at one end, a hedge order at the other; and the shape that saved state depends on."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bytewax.testing import TestingSource

from app.replay.replay import topic_lines
from app.workers.shape import shape_of
from connectors.kafka.origin import Origin
from connectors.recorded import Recorded
from domain import topics
from domain.errors import ConfigError
from domain.ledger.memory import MemoryLedger
from domain.messages.fields import Message
from domain.messages.hedging import HedgeOrder
from domain.messages.venue import OrderReport
from domain.outbox.kinds import ORDER
from domain.outbox.memory import MemoryReservations
from domain.outbox.slots import Reserved
from domain.streams.records import Outgoing
from flows import execution, hedging, liability
from sinks.memory import ListSink
from tests.flows.runs import EVERY_LEG, FLOWS, Run, execution_alone, joints_of, recorded, run, said_on, whole
from tests.words import START_MS, live_trades, order_report, pair, pockets, position, tick

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
    run(TAPES, books=ledger, batch_size=1, crash_at=crash_at, recovery=store)
    assert run(TAPES).books == run(TAPES, books=ledger, recovery=store, memory=EVERY_LEG).books


# The whole treasury, execution included.


def executed(reservations: MemoryReservations, said_by_venue: list[Message]) -> Run:
    """Run everything, with an exchange that says these."""
    own = execution.Setup(lambda: reservations, TestingSource(said_by_venue))
    return run(TAPES, whole, batch_size=1, change=lambda joints: joints._replace(execution=own))


def test_an_order_is_reserved_before_anything_is_sent() -> None:
    """An order that was decided has its slot in the table of reservations, and the exchange's words are passed on."""
    reservations, word = MemoryReservations(lambda: START_MS), order_report("o", "filled", 3)
    said = executed(reservations, [word])
    (order,) = (json.loads(value) for value in said_on(said, topics.HEDGING_ORDERS))
    assert [order["client_order_id"]] == [row.client_id for row in reservations.open_rows("simulated") if row.kind is ORDER]
    assert ["o"] == [json.loads(value)["client_order_id"] for value in said_on(said, topics.VENUE_ORDERS)]


def test_what_became_of_an_order_has_one_key() -> None:
    """The exchange's word and a refusal are on the same topic under the order's own id, so their order is kept."""
    reservations = MemoryReservations(lambda: START_MS)
    said = executed(reservations, [order_report("o", "filled", 3)])
    refused = refused_order(reservations)
    assert [b"o", b"other"] == [m.key for m in (*said.outgoing, refused) if m.topic == "venue.orders"]


def refused_order(reservations: MemoryReservations) -> Outgoing:
    """The answer to an order whose slot is taken."""
    (row,) = (row for row in reservations.open_rows("simulated") if row.kind is ORDER)
    order = row.request.model_copy(update={"client_order_id": "other", "decision_id": "another"})
    orders = recorded({"hedging.orders": [(0, order)], "hedging.transfers": []})
    own = execution.Setup(lambda: reservations, TestingSource([]))
    said = run(orders, execution_alone, batch_size=1, change=lambda joints: joints._replace(execution=own))
    (answer,) = (message for message in said.outgoing if message.topic == "venue.orders")
    return answer


def test_a_refused_order_is_answered() -> None:
    """When the slot is taken, the refusal goes back on the topic that the desk reads."""
    reservations = MemoryReservations(lambda: START_MS)
    executed(reservations, [])
    answer = json.loads(refused_order(reservations).value)
    assert ("other", "refused") == (answer["client_order_id"], answer["state"])


HOUR_MS = 3_600_000


def test_after_an_outage_nothing_leaves_on_old_facts_and_the_desk_decides_again() -> None:
    """What was decided on facts of an hour ago is refused by name; having heard that, the desk asks anew on fresh ones."""
    reservations = MemoryReservations(lambda: START_MS + HOUR_MS)
    answers = said_on(executed(reservations, []), topics.VENUE_ORDERS)
    refusals = [OrderReport.model_validate_json(answer) for answer in answers]
    assert [("refused", "decided on facts 3599 s old")] == [(said.state, said.reason) for said in refusals]
    assert [] == reservations.open_rows("simulated")
    fresh = [HOUR_MS + ms for ms in SECONDS]
    legs = [(HOUR_MS + 100 + n, one) for n, one in enumerate(pair("3", 200_000, second=3_600))]
    later = recorded(
        {
            "dealer.transactions/1": legs,
            "market.ticks": [(ms, tick(at_ms=START_MS + ms)) for ms in fresh],
            "venue.positions": [(ms, position(0, ms, START_MS + ms)) for ms in fresh],
            "venue.balances": [(ms, pockets(sequence=ms, at_ms=START_MS + ms)) for ms in fresh],
            "venue.orders": [(HOUR_MS, said) for said in refusals],
        }
    )
    whole = {key: [*TAPES[key], *(word._replace(offset=word.offset + 100) for word in later[key])] for key in TAPES}
    orders = [json.loads(value) for value in said_on(run(whole, batch_size=1), topics.HEDGING_ORDERS)]
    assert [refusals[0].client_order_id] == [order["client_order_id"] for order in orders[:-1]]
    assert isinstance(reservations.reserve(HedgeOrder.model_validate(orders[-1])), Reserved)


# What cannot be read, topic by topic.


@pytest.mark.parametrize("flow", ["liability", "hedging", "execution"])
def test_what_a_flow_cannot_read_is_quarantined(flow: str) -> None:
    """Of every topic that a flow reads, those of other flows included, a bad message is kept on its quarantine topic and
    handed to the keeper."""
    inputs = {"liability": liability.INPUTS, "hedging": hedging.INPUTS, "execution": execution.INPUTS}[flow]
    kept: list[Any] = []
    said = run(
        recorded({topic.name: [(0, b"oops")] for topic in inputs}),
        FLOWS[flow],
        change=lambda joints: joints._replace(edges=replace(joints.edges, quarantine=ListSink(kept))),
    )
    names = sorted(topic.name for topic in inputs)
    assert names == sorted(one.topic for one in kept)
    assert [f"quarantine.{name}" for name in names] == sorted(m.topic for m in said.outgoing if "quarantine" in m.topic)


# State that was saved by another version.


@pytest.mark.parametrize(
    "where",
    [
        "operators.ledger.VERSION",
        "domain.pairing.book.PairingBook.version",
        "domain.venue.fills.FillBook.version",
        "domain.hedging.desks.Desks.version",
    ],
)
def test_state_of_another_version_is_a_sentence_and_no_crash_loop(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that does not know the saved state says what to do, with the exit code that nobody starts it again after."""
    store, books = tmp_path / "recovery", MemoryLedger()
    run(TAPES, books=books, batch_size=1, crash_at=5, recovery=store)
    monkeypatch.setattr(where, 99)
    with pytest.raises(ConfigError, match=r"in version \d, this program knows version 99.*empty recovery folder") as raised:
        run(TAPES, books=books, recovery=store)
    assert 78 == raised.value.exit_code


# The shape of saved state.

STEPS = Path(__file__).parent / "steps.json"


def steps_of(name: str) -> list[str]:
    """The ids of the steps of a flow that keep state."""
    partitions: Recorded = {(topic.name, partition): [] for topic in topics.ALL for partition in range(topic.partitions)}
    steps: list[str] = shape_of(
        FLOWS[name](joints_of(partitions, Run([], MemoryLedger(), MemoryLedger()))), [], Origin(), {}
    )["steps"]
    return steps


@pytest.mark.parametrize("name", FLOWS)
def test_step_ids_are_frozen(name: str) -> None:
    """A step that is renamed starts empty without a word, so a change here must be meant, and needs a way to move state."""
    assert json.loads(STEPS.read_text())[name] == steps_of(name)
