"""Simulated users: the same seed gives the same people, and nobody sells what nobody has."""

from collections.abc import Iterator
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo.users import Crowd, Line, Users
from app.replay.replay import replay
from domain.messages.dealer import DealerTransaction
from tests.flows.runs import SETTINGS, recorded
from tests.words import START_MS, live_trades, settled

PRICE = Decimal("42000.5")
HONEST = {"pending_per_thousand": 0, "failed_per_thousand": 0, "garbage_per_thousand": 0}


def trades(crowd: Crowd, count: int, run: str = "r") -> Iterator[list[Line]]:
    """What so many trades of these users cause."""
    users = Users(crowd, run)
    for number in range(count):
        yield users.trade(START_MS + number * 250, PRICE)


def legs(lines: list[Line]) -> list[DealerTransaction]:
    """The legs of one trade; lines that cannot be read are left out."""
    found = []
    for line in lines:
        try:
            found.append(DealerTransaction.model_validate_json(line.value))
        except ValueError:
            continue
    return found


def test_the_same_seed_gives_the_same_people() -> None:
    """Lines are equal byte for byte under one seed, and differ under another."""
    one, again, other = (list(trades(Crowd(seed), 50)) for seed in (1, 1, 2))
    assert one == again
    assert one != other


def test_runs_have_ids_of_their_own() -> None:
    """Two runs of the same people can be read into one ledger."""
    one, other = ({leg.id for lines in trades(Crowd(), 50, run) for leg in legs(lines)} for run in ("a", "b"))
    assert not one & other


@given(st.integers(0, 10**6))
@settings(max_examples=20)
def test_nobody_sells_what_nobody_has(seed: int) -> None:
    """Whatever the seed, the dollars that users hold are never less than none, and what is said of them is what legs say."""
    users, held = Users(Crowd(seed, **HONEST), "r"), 0
    for number in range(60):
        (dollars,) = (leg for leg in legs(users.trade(START_MS + number, PRICE)) if leg.settlement_currency == "USD")
        held -= dollars.settlement_amount
        assert held >= 0
        assert held == users.liability_cents


def test_both_legs_of_a_trade_fit() -> None:
    """The two legs are opposite, of one second and one memo, and worth the same to within half a satoshi's worth."""
    for lines in trades(Crowd(**HONEST), 100):
        one, other = legs(lines)
        bitcoin, dollars = (one, other) if one.settlement_currency == "BTC" else (other, one)
        worth = abs(bitcoin.settlement_amount) * bitcoin.cents_per_unit
        assert {"RECEIVE", "SEND"} == {bitcoin.direction, dollars.direction}
        assert (bitcoin.created_at, bitcoin.memo) == (dollars.created_at, dollars.memo)
        assert abs(worth - abs(dollars.settlement_amount)) <= bitcoin.cents_per_unit / 2


@pytest.mark.parametrize(
    ("share", "statuses"),
    [
        ("pending_per_thousand", ["PENDING", "PENDING", "SUCCESS", "SUCCESS"]),
        ("failed_per_thousand", ["PENDING", "PENDING", "FAILURE", "FAILURE"]),
    ],
)
def test_some_trades_take_longer_or_fail(share: str, statuses: list[str]) -> None:
    """With a share of a thousand per thousand every trade does."""
    for lines in trades(Crowd(**(HONEST | {share: 1000})), 5):
        assert statuses == [leg.status for leg in legs(lines)]


def test_some_lines_are_garbage() -> None:
    """Garbage is what no reader takes."""
    assert [] == [leg for lines in trades(Crowd(garbage_per_thousand=1000), 20) for leg in legs(lines)]


def test_all_honest_trades_are_paired() -> None:
    """What honest users do ends in the books, all of it, and the liability is what they hold."""
    users = Users(Crowd(3, **HONEST), "r")
    said = [
        (number * 1000 + line.delay_ms, line.value)
        for number in range(80)
        for line in users.trade(START_MS + number * 1000, PRICE)
    ]
    ledger = replay(SETTINGS, recorded({"dealer.transactions/0": sorted(said, key=lambda one: one[0])})).ledger
    assert 80 == len(live_trades(ledger))
    assert users.liability_cents == settled(ledger)["STABLESATS_OMNIBUS", "USD"]
