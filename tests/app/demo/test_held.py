"""How well the hedge was held, told from topics."""

from typing import Any

import pytest

from app.demo.held import Held, how_held
from domain.hedging.policy import Policy

Event = tuple[int, str, dict[str, Any]]


def owed(at_ms: int, cents: int) -> Event:
    """Users are owed so much."""
    return at_ms, "ledger.balances", {"account": "STABLESATS_OMNIBUS", "currency": "USD", "settled": cents}


def held(at_ms: int, cents: int, sequence: int = 1) -> Event:
    """The exchange holds so much."""
    return at_ms, "venue.positions", {"exposure_cents": cents, "sequence": sequence}


def pocket(at_ms: int, sats: int) -> Event:
    """The trading account holds so much."""
    return at_ms, "venue.balances", {"trading_equity_sats": sats}


def price(at_ms: int, usd: str) -> Event:
    """Bitcoin costs so much."""
    return at_ms, "market.ticks", {"price_usd": usd}


def ordered(at_ms: int, name: str) -> Event:
    """An order is decided."""
    return at_ms, "hedging.orders", {"client_order_id": name}


def ended(at_ms: int, name: str, sequence: int, state: str = "filled") -> Event:
    """An order is heard to have ended, or to be on its way."""
    return at_ms, "venue.orders", {"client_order_id": name, "state": state, "sequence": sequence}


HEDGED = [owed(0, 1_000_000), ordered(100, "a"), ended(200, "a", 5), held(210, -1_000_000, 5)]

CASES: list[tuple[str, list[Event], dict[str, Any]]] = [
    ("nothing happened", [], {"loose_times": 0, "first_order_after_ms": None, "leverage_max": "0.0000"}),
    ("before the first order there is nothing to hold", HEDGED, {"loose_times": 0, "first_order_after_ms": 100}),
    (
        "a trade loosens the hedge until an order answers it",
        [*HEDGED, owed(300, 1_200_000), ordered(340, "b")],
        {"loose_times": 1, "loose_ms_max": 40},
    ),
    (
        "an order in flight is under way, and so is one that no position covers yet",
        [*HEDGED, ordered(300, "b"), owed(301, 1_200_000), ended(400, "b", 9), held(450, -1_200_000, 9)],
        {"loose_times": 0},
    ),
    (
        "a word on the way is no end",
        [*HEDGED, ordered(300, "b"), owed(301, 1_200_000), ended(350, "b", 7, "open"), held(400, -1_200_000, 7)],
        {"loose_times": 0},
    ),
    ("a small liability needs no hedge", [*HEDGED, owed(300, 100), held(310, -1_000_000, 6)], {"loose_times": 0}),
    (
        "less than half a contract cannot be hedged",
        [owed(0, 5_100), ordered(1, "a"), ended(2, "a", 2, "rejected"), held(3, 0, 2), owed(4, 5_100), price(900, "1")],
        {"loose_times": 0},
    ),
    (
        "leverage over its bound lasts until collateral comes",
        [*HEDGED, pocket(300, 10_000_000), price(310, "20000"), price(400, "20000"), pocket(500, 20_000_000)],
        {"leverage_over_ms_max": 190, "leverage_max": "5.0000"},
    ),
]


@pytest.mark.parametrize(("events", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_spans_and_extremes_follow_from_the_events(events: list[Event], expected: dict[str, Any]) -> None:
    """The hedge is loose, and leverage over, exactly while nothing under way explains it."""
    told: Held = how_held(events, Policy())
    assert expected == {name: value for name, value in told._asdict().items() if name in expected}
