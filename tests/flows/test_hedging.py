"""The hedging flow: facts from topics become decisions, orders and transfers, by event time."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from domain import topics
from domain.errors import Rejection
from domain.messages.decisions import Decision
from domain.messages.fields import Message
from domain.messages.hedging import HedgeOrder
from domain.topics import Topic
from sinks.memory import ListSink
from tests.flows.runs import Joints, Run, hedging_alone, recorded, run, said_on
from tests.words import START_MS, VENUE, correction, liability, order_report, pockets, position, tick

Said = list[tuple[int, Message | bytes]]


def decided(
    owed: Said, positions: Said, prices: Said, reports: Said | None = None, corrections: Said | None = None, **how: Any
) -> Run:
    """Run the flow by itself over these facts, with pockets that are full and always fresh."""
    tapes = recorded(
        {
            "market.ticks": prices,
            "venue.positions": positions,
            "venue.balances": [(ms, pockets(sequence=n + 1, at_ms=START_MS + ms)) for n, (ms, _) in enumerate(positions)],
            "venue.orders": reports or [],
            "facts.corrections": corrections or [],
        }
    )
    balances = recorded({"ledger.balances": owed})["ledger.balances", 0]
    return run({**tapes, ("ledger.balances", 0): balances}, hedging_alone, **how)


def told(said: Run, topic: Topic[Any]) -> list[Any]:
    """The messages that a run put on a topic, read back."""
    return [topic.model.model_validate_json(value) for value in said_on(said, topic)]


def owes(cents: int, *after_ms: int) -> Said:
    """The liability, said at these times."""
    return [(ms, liability(cents, 1, START_MS + ms)) for ms in after_ms]


def holds(cents: int, *after_ms: int) -> Said:
    """The position, said at these times."""
    return [(ms, position(cents, n + 1, START_MS + ms)) for n, ms in enumerate(after_ms)]


def costs(*after_ms: int) -> Said:
    """The price, said at these times."""
    return [(ms, tick(at_ms=START_MS + ms)) for ms in after_ms]


def keeping(kept: list[Any]) -> Callable[[Joints], Joints]:
    """Hand decisions, and what cannot be read, to a list."""
    return lambda joints: joints._replace(
        edges=replace(joints.edges, quarantine=ListSink(kept)),
        hedging=replace(joints.hedging, open_decisions=lambda: kept.extend),
    )


SECONDS = tuple(range(0, 10_000, 1_000))


def test_what_is_owed_is_hedged() -> None:
    """A liability without a position asks for one order, and for nothing more while it is under way."""
    said = decided(owes(1_000_000, *SECONDS), holds(0, *SECONDS), costs(*SECONDS))
    (order,) = told(said, topics.HEDGING_ORDERS)
    assert isinstance(order, HedgeOrder)
    assert ("sell", -98) == (order.action, order.contracts)
    hedges = [one for one in told(said, topics.HEDGING_DECISIONS) if one.kind == "hedge"]
    assert order.decision_id in {one.id for one in hedges}
    assert "order_in_flight" == hedges[-1].rule


def test_a_filled_order_makes_room_for_the_next() -> None:
    """When an order ended short of the band and a position covers that, the rest is ordered."""
    first = told(decided(owes(1_000_000, *SECONDS), holds(0, *SECONDS), costs(*SECONDS)), topics.HEDGING_ORDERS)[0]
    done = order_report(first.client_order_id, "canceled", 5, START_MS + 3_000)
    later = [(ms, position(-500_000, 6 + n, START_MS + ms)) for n, ms in enumerate(SECONDS[4:])]
    positions = [*holds(0, *SECONDS[:3]), *later]
    said = decided(owes(1_000_000, *SECONDS), positions, costs(*SECONDS), [(3_000, done)])
    assert [-98, -48] == [order.contracts for order in told(said, topics.HEDGING_ORDERS)]


@pytest.mark.parametrize(
    ("silent", "rule"), [("liability", "stale_liability"), ("position", "stale_position"), ("price", "stale_price")]
)
def test_a_stream_that_falls_silent_stops_the_desk(silent: str, rule: str) -> None:
    """Of streams that end, the others go on, and the decision becomes to hold, by name."""
    times = tuple(range(0, 60_000, 1_000))
    short = {name: (0, 1_000) if name == silent else times for name in ("liability", "position", "price")}
    said = decided(owes(980_000, *short["liability"]), holds(-960_000, *short["position"]), costs(*short["price"]))
    rules = [one.rule for one in told(said, topics.HEDGING_DECISIONS) if one.kind == "hedge"]
    assert rule == rules[-1]
    assert [] == told(said, topics.HEDGING_ORDERS)


def test_decisions_are_recorded_as_they_are_said() -> None:
    """What is kept and what is put on the topic are the same decisions, in order."""
    kept: list[Any] = []
    said = decided(
        owes(1_000_000, *SECONDS),
        holds(0, *SECONDS),
        costs(*SECONDS),
        change=lambda j: j._replace(hedging=replace(j.hedging, open_decisions=lambda: kept.extend)),
    )
    assert kept == told(said, topics.HEDGING_DECISIONS)
    assert all(isinstance(one, Decision) for one in kept)


@pytest.mark.parametrize("batch_size", [1, 2, 1000])
@pytest.mark.parametrize("workers", [1, 2])
def test_decisions_follow_from_the_facts_alone(batch_size: int, workers: int) -> None:
    """Recorded facts give the same decisions and orders for every batch size and number of workers."""
    facts = (owes(1_000_000, *SECONDS), holds(0, *SECONDS), costs(*SECONDS))
    expected, said = decided(*facts), decided(*facts, batch_size=batch_size, workers=workers)
    for topic in (topics.HEDGING_ORDERS, topics.HEDGING_TRANSFERS):
        assert said_on(expected, topic) == said_on(said, topic)
    expected_ids = [one.id for one in told(expected, topics.HEDGING_DECISIONS)]
    assert expected_ids == [one.id for one in told(said, topics.HEDGING_DECISIONS)]


def test_bad_facts_are_kept_and_the_rest_goes_on() -> None:
    """A tick that cannot be read is quarantined, and the desk decides on the next one."""
    kept: list[Any] = []
    prices: Said = [(0, b"NaN"), *costs(*SECONDS[1:])]
    said = decided(
        owes(1_000_000, *SECONDS),
        holds(0, *SECONDS),
        prices,
        change=lambda j: j._replace(edges=replace(j.edges, quarantine=ListSink(kept))),
    )
    assert [("market.ticks", 0, b"NaN")] == [(one.topic, one.offset, one.raw) for one in kept if isinstance(one, Rejection)]
    assert 1 == len(told(said, topics.quarantine("market.ticks")))
    assert 1 == len(told(said, topics.HEDGING_ORDERS))


@pytest.mark.parametrize(("batch_size", "workers"), [(1, 1), (7, 2), (1000, 3)])
def test_a_correction_and_a_difference_are_told_whatever_the_cuts(batch_size: int, workers: int) -> None:
    """A typed position is forgotten in its turn, and books that never had the fills are told of after ten seconds, once."""
    seconds = tuple(range(0, 20_000, 1_000))
    positions: Said = [*holds(-980_000, *seconds)[:9], (8_500, position(-980_000, 999_999_999, START_MS + 8_500))]
    positions += holds(-980_000, *seconds)[9:]
    owed = owes(1_000_000, *seconds)
    said = decided(
        owed,
        positions,
        costs(*seconds),
        corrections=[(8_700, correction("venue.positions", VENUE, START_MS + 8_700))],
        batch_size=batch_size,
        workers=workers,
    )
    assert [(8_700, "corrected"), (10_000, "position_not_of_fills")] == [
        (alert.as_of - START_MS, alert.subject) for alert in told(said, topics.ALERTS)
    ]
    rules = [(one.as_of - START_MS, one.rule) for one in told(said, topics.HEDGING_DECISIONS) if one.kind == "hedge"]
    assert [(0, "in_band"), (8_700, "no_position"), (9_000, "in_band")] == rules
