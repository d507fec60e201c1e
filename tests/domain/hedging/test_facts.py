"""Facts: the newest word holds, and every fact grows old."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.actions import Hold
from domain.hedging.facts import Facts, Freshness, not_fresh, not_from_the_future
from domain.messages.fields import Message
from tests.words import START_MS, liability, order_report, pockets, position, tick

NAMES = ("liability", "position", "balance", "price")
TAKE: dict[str, Any] = {
    "LedgerBalance": Facts.with_liability,
    "VenuePosition": Facts.with_position,
    "VenueBalance": Facts.with_balance,
    "Tick": Facts.with_price,
}
NUMBERS = st.integers(0, 3)
WORDS = st.one_of(
    st.builds(lambda n, at: liability(100 * n + at, n, START_MS + at), NUMBERS, NUMBERS),
    st.builds(lambda n, at: position(-10_000 * (100 * n + at), n, START_MS + at), NUMBERS, NUMBERS),
    st.builds(lambda n, at: pockets(100 * n + at, 5, n, START_MS + at), NUMBERS, NUMBERS),
    st.builds(lambda at: tick(str(40_000 + at), START_MS + at), NUMBERS),
)


def learned(words: list[Message]) -> Facts:
    """The facts after these words."""
    facts = Facts()
    for word in words:
        facts = TAKE[type(word).__name__](facts, word)
    return facts


@given(st.lists(WORDS, max_size=8).flatmap(lambda words: st.tuples(st.just(words), st.permutations(words))))
def test_the_order_of_arrival_does_not_matter(orders: tuple[list[Message], list[Message]]) -> None:
    """The same words in any order leave the same facts."""
    one, other = orders
    assert learned(one) == learned(other)


@given(st.lists(WORDS, max_size=6))
def test_facts_survive_a_snapshot(words: list[Message]) -> None:
    """Plain facts are JSON, and give the same facts back."""
    facts = learned(words)
    assert facts == Facts.restored(json.loads(json.dumps(facts.plain())))


@pytest.mark.parametrize("name", NAMES)
def test_a_fact_that_is_missing_is_named(name: str) -> None:
    """What has not been heard of cannot be decided on."""
    facts = learned([liability(1), position(), pockets(), tick()])._replace(**{name: None})
    assert f"no_{name}" == getattr(not_fresh(facts, NAMES, START_MS, Freshness()), "rule", None)


@pytest.mark.parametrize(("name", "limit_ms"), [*zip(NAMES, (20_000, 20_000, 20_000, 30_000), strict=True)])
def test_a_fact_is_fresh_to_its_limit_and_stale_past_it(name: str, limit_ms: int) -> None:
    """At its limit a fact still counts; a millisecond later it is named as too old."""
    facts = learned([liability(1), position(), pockets(), tick()])
    assert not_fresh(facts, (name,), START_MS + limit_ms, Freshness()) is None
    stale = not_fresh(facts, (name,), START_MS + limit_ms + 1, Freshness())
    assert isinstance(stale, Hold)
    assert (f"stale_{name}", True) == (stale.rule, "1 ms" in stale.reason)


def test_nothing_known_is_worth_nothing() -> None:
    """Before anything is heard the numbers are zero, and the records say that they are unknown."""
    facts = Facts()
    assert (0, 0, 0, 0, 0, 0, Decimal(0)) == (
        facts.liability_cents,
        facts.exposure_cents,
        facts.collateral_sats,
        facts.funding_sats,
        facts.position_sequence,
        facts.balance_sequence,
        facts.price_cents,
    )
    assert {None} == {value for name, value in facts.recorded().items() if not name.endswith("_cents")}


def test_a_fact_from_the_future_is_of_now() -> None:
    """A clock that is ahead makes no fact that never grows old; everything else stays as it is."""
    ahead, report = tick("40000", START_MS + 5), order_report("o", "open", at_ms=START_MS + 5)
    assert tick("40000", START_MS) == not_from_the_future(ahead, START_MS)
    assert ahead is not_from_the_future(ahead, START_MS + 5)
    assert report is not_from_the_future(report, START_MS)
