"""What would have changed a decision: it is taken again from its record, and what is found is a boundary."""

from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.desk import Desk
from domain.hedging.nearest import MOVED_MAX, Shift, boundary, facts_of, nearest, probes
from domain.hedging.policy import Book, Policy, VenueFacts
from domain.hedging.rules import decide
from domain.messages.decisions import Decision
from domain.money import CENTS_PER_CONTRACT
from tests.words import START_MS, VENUE, liability, order_report, pockets, position, record, tick

Rules = Literal["guarded", "reference"]
RULES: tuple[Rules, ...] = ("guarded", "reference")
FIELDS = {
    "liability_cents": "liability_cents",
    "exposure_cents": "exposure_cents",
    "trading_equity_sats": "collateral_sats",
    "funding_sats": "funding_sats",
}


def decided(rules: Rules = "guarded", *words: Any) -> list[Decision]:
    """The decisions of a desk that is told these words at once."""
    desk = Desk(Book("main", VENUE, Policy(rules=rules)))
    said = [*desk.apply(START_MS, [record(word) for word in words])]
    return [one for one in said if isinstance(one, Decision)]


def hedge(owed_cents: int, exposure_cents: int = 0, trading_sats: int = 10**11, price_usd: str = "40000.0") -> Decision:
    """What a guarded desk decides on a liability, a position, its collateral and a price."""
    words = (liability(owed_cents), position(exposure_cents), pockets(trading_sats), tick(price_usd))
    return decided("guarded", *words)[0]


def moved(facts: VenueFacts, name: str, to: Decimal) -> VenueFacts:
    """The facts with another value of an input."""
    if name == "price_usd":
        return replace(facts, price_cents=to * 100)
    changes: dict[str, Any] = {FIELDS[name]: int(to)}
    return replace(facts, **changes)


FOUND = [
    (hedge(1_000_000), ("exposure_cents", -950_000, "nothing", "in_band")),
    (hedge(1_000_000), ("liability_cents", 5_102, "nothing", "below_low_bound")),
    (hedge(1_000_000, -960_000), ("liability_cents", 1_010_527, "sell", "below_low_bound")),
    (hedge(1_000_000, -960_000), ("exposure_cents", -949_999, "sell", "below_low_bound")),
    (hedge(1_000_000, -960_000), ("exposure_cents", -1_030_001, "buy", "above_high_bound")),
    (hedge(4_999), ("liability_cents", 5_000, "nothing", "below_low_bound")),
    (hedge(0, -500_000), ("exposure_cents", 0, "nothing", "flat")),
    (hedge(1_000_000, trading_sats=0), ("trading_equity_sats", 62_500, "sell", "below_low_bound")),
    (hedge(1_000_000, trading_sats=62_500), ("price_usd", Decimal("39999.9"), "hold", "no_collateral")),
]


@pytest.mark.parametrize(("decision", "expected"), FOUND)
def test_boundaries_are_those_of_the_rules(decision: Decision, expected: tuple[str, Any, str, str]) -> None:
    """Each is where the band, the least liability or the collateral says, to the cent, the satoshi or the price's last place."""
    found = [(shift.name, shift.moved_to, shift.action, shift.rule) for shift in nearest(decision, Policy()).shifts]
    assert expected in found


def test_the_relatively_smallest_comes_first() -> None:
    """Of a hedge at the edge of its band the position is the nearest, and a share is of the value that was moved."""
    shifts = nearest(hedge(1_000_000, -1_030_000), Policy()).shifts
    assert sorted(shifts, key=lambda shift: shift.share) == list(shifts)
    assert Shift("exposure_cents", Decimal(-1_030_000), Decimal(-1_030_001), "buy", "above_high_bound") == shifts[0]
    assert Decimal(1) / 1_030_000 == shifts[0].share


AMOUNTS = st.integers(0, 10**10)
WORDS = st.tuples(
    st.integers(-5, 5) | AMOUNTS,
    st.integers(-5, 5) | st.integers(-(10**6), 10**6),
    st.integers(-100, 100) | st.integers(-(10**6), 10**12),
    AMOUNTS,
    st.decimals(Decimal("0.1"), 10**6, places=1),
)


@given(st.sampled_from(RULES), WORDS)
def test_what_a_desk_decided_is_decided_again(rules: Rules, facts: tuple[int, int, int, int, Decimal]) -> None:
    """From its record alone, and what is found differs there and not one unit nearer, within the bound."""
    owed, contracts, trading, funding, price = facts
    words = (liability(owed), position(contracts * CENTS_PER_CONTRACT), pockets(trading, funding), tick(str(price)))
    policy = Policy(rules=rules)
    for decision in decided(rules, *words):
        found = nearest(decision, policy)
        assert found.undecidable is None
        kind: Any = decision.kind
        for shift in found.shifts:
            unit = Decimal("0.1") if shift.name == "price_usd" else Decimal(1)
            before = shift.moved_to - unit.copy_sign(shift.moved_to - shift.value)
            there, near = (
                decide(kind, moved(facts_of(decision), shift.name, at), policy) for at in (shift.moved_to, before)
            )
            assert (shift.action, shift.rule) == (there.name, there.rule) != (decision.action, decision.rule)
            assert (near.name, near.rule) == (decision.action, decision.rule)
            assert abs(shift.moved_to - shift.value) / unit <= max(2 * abs(shift.value) / unit, MOVED_MAX)


def test_what_was_held_for_something_else_is_not_guessed_at() -> None:
    """A hold for an old or missing fact, a request under way, or an order too soon says why nothing can be told of it."""
    desk = Desk(Book("main", VENUE, Policy()))
    said: list[Any] = []
    told = (liability(1_000_000), position(), pockets(), tick())
    for after_ms, words in ((0, told[:2]), (1, told[2:]), (2, [tick(at_ms=START_MS + 2)])):
        said += desk.apply(START_MS + after_ms, [record(word) for word in words])
    name = next(one.client_order_id for one in said if hasattr(one, "client_order_id"))
    said += desk.apply(START_MS + 3, [record(order_report(name, "filled", 9))])
    said += desk.apply(START_MS + 4, [record(position(-500_000, 9))])
    said += desk.wake(START_MS + 60_000)
    hedges = {one.rule: one for one in said if isinstance(one, Decision) and one.kind == "hedge" and one.action == "hold"}
    assert {"no_balance", "order_in_flight", "position_behind_order", "order_rate", "stale_liability"} == hedges.keys()
    for decision in hedges.values():
        found = nearest(decision, Policy())
        assert found.shifts == ()
        assert found.undecidable


def test_another_policy_or_kind_does_not_pass_for_the_one_that_decided() -> None:
    """Decided again by a policy that says otherwise, or of a kind without rules here, it is said to be undecidable."""
    decision = hedge(1_000_000, -960_000)
    narrow = Policy.model_validate({"hedge": {"low_bound_ratio_shorting": "0.97"}})
    assert "sell by below_low_bound" in str(nearest(decision, narrow).undecidable)
    other = decision.model_copy(update={"kind": "buffer"})
    assert "buffer" in str(nearest(other, Policy()).undecidable)


@given(st.integers(1, MOVED_MAX), st.integers(0, 10**14))
def test_of_what_stays_true_the_least_is_found(least: int, size: int) -> None:
    """Bisection finds the least number of a predicate that stays true, and never looks beyond its bound."""
    assert probes(size)[-1] == max(2 * size, MOVED_MAX)
    assert boundary(lambda units: units >= least, probes(size)) == least


@given(st.sets(st.integers(1, 500)), st.integers(1, 500))
def test_of_what_comes_and_goes_a_boundary_is_found(true_at: set[int], size: int) -> None:
    """What is found is true, and what is before it is not, or is nothing; what is true at a probe is not missed."""
    found = boundary(lambda units: units in true_at, probes(size))
    assert (found is None) == true_at.isdisjoint(probes(size))
    if found is not None:
        assert found in true_at
        assert found - 1 not in true_at
