"""The guarded hedge decision: when it waits, how it is cut, and that it comes to rest."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.actions import Buy, Close, HedgeAction, Hold, Nothing, Sell, quantity
from domain.hedging.guarded_hedge import decide_hedge_guarded, is_hedged
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_hedge import decide_hedge_reference
from domain.money import CENTS_PER_CONTRACT

POLICY = Policy(order_contracts_max=1_000, order_interval_min_ms=2_000)
WEALTHY = VenueFacts(
    now_ms=10_000,
    liability_cents=1_000_000,
    exposure_cents=0,
    collateral_sats=10**14,
    funding_sats=10**8,
    price_cents=Decimal(2_000_000),
)


def decide(**changes: Any) -> HedgeAction:
    """The decision of someone wealthy who owes 10,000 dollars, but for these changes."""
    return decide_hedge_guarded(replace(WEALTHY, **changes), POLICY)


@pytest.mark.parametrize(
    ("changes", "kind", "contracts", "rule"),
    [
        ({}, Sell, -98, "below_low_bound"),
        ({"order_in_flight": True}, Hold, 0, "order_in_flight"),
        ({"position_sequence": 3, "last_order_sequence": 4}, Hold, 0, "position_behind_order"),
        ({"position_sequence": 4, "last_order_sequence": 4}, Sell, -98, "below_low_bound"),
        ({"last_order_at_ms": 8_001}, Hold, 0, "order_rate"),
        ({"last_order_at_ms": 8_000}, Sell, -98, "below_low_bound"),
        ({"last_order_at_ms": 8_001, "exposure_cents": -1_000_000}, Nothing, 0, "in_band"),
        ({"liability_cents": 100_000_000}, Sell, -1_000, "below_low_bound"),
        ({"exposure_cents": -100_000_000}, Buy, 1_000, "above_high_bound"),
        ({"liability_cents": 0, "exposure_cents": -10_000_000}, Close, 0, "below_minimum_liability"),
        ({"liability_cents": 0, "exposure_cents": -10_000_001}, Buy, 1_000, "below_minimum_liability"),
        ({"liability_cents": 0, "exposure_cents": 10_000_001}, Sell, -1_000, "below_minimum_liability"),
        ({"collateral_sats": 0}, Hold, 0, "no_collateral"),
        ({"collateral_sats": -5}, Hold, 0, "no_collateral"),
        ({"collateral_sats": 125_000}, Sell, -1, "below_low_bound"),
        ({"collateral_sats": 124_999}, Hold, 0, "no_collateral"),
        ({"collateral_sats": 0, "exposure_cents": 25_000}, Sell, -2, "long"),
        ({"collateral_sats": 0, "exposure_cents": -2_000_000}, Buy, 100, "above_high_bound"),
        ({"price_cents": Decimal(0)}, Hold, 0, "price_unusable"),
        ({"price_cents": Decimal(0), "exposure_cents": -2_000_000}, Buy, 100, "above_high_bound"),
        ({"liability_cents": -1}, Hold, 0, "liability_negative"),
    ],
)
def test_guarded_hedge_table(changes: dict[str, Any], kind: type, contracts: int, rule: str) -> None:
    """Each guard fires where it should, and what is left of an order keeps the rule that asked for it."""
    action = decide(**changes)
    assert (kind, contracts, rule) == (type(action), quantity(action)[0], action.rule)
    assert action.reason


FACTS = st.builds(
    VenueFacts,
    now_ms=st.integers(0, 10**6),
    liability_cents=st.integers(0, 10**9),
    exposure_cents=st.integers(-(10**9), 10**9),
    collateral_sats=st.integers(-(10**8), 10**12),
    funding_sats=st.integers(0, 10**12),
    price_cents=st.integers(1, 10**8).map(Decimal),
)
WILD = st.builds(
    VenueFacts,
    now_ms=st.integers(),
    liability_cents=st.integers() | st.integers(-(10**70), 10**70),
    exposure_cents=st.integers() | st.integers(-(10**70), 10**70),
    collateral_sats=st.integers() | st.integers(-(10**70), 10**70),
    funding_sats=st.integers(),
    price_cents=st.decimals(),
    last_order_at_ms=st.none() | st.integers(),
    order_in_flight=st.booleans(),
)


def filled(facts: VenueFacts, action: HedgeAction) -> VenueFacts:
    """The facts after an order was filled."""
    contracts, _ = quantity(action)
    after = 0 if isinstance(action, Close) else facts.exposure_cents + contracts * CENTS_PER_CONTRACT
    return replace(facts, exposure_cents=after)


@given(WILD)
def test_nothing_makes_it_raise(facts: VenueFacts) -> None:
    """Any facts, however absurd, lead to an action with a rule and a sentence."""
    action = decide_hedge_guarded(facts, POLICY)
    assert action.rule
    assert action.reason


@given(FACTS)
def test_orders_come_to_rest(facts: VenueFacts) -> None:
    """Orders follow each other in one direction, and end with a hedge in its band or with a reason to wait."""
    signs = set()
    for _ in range(250):
        action = decide_hedge_guarded(facts, POLICY)
        if isinstance(action, Nothing | Hold):
            break
        bought, _ = quantity(action)
        signs.add(bought > 0 if bought else facts.exposure_cents < 0)
        facts = filled(facts, action)
    assert isinstance(action, Nothing | Hold)
    assert len(signs) <= 1
    assert is_hedged(facts, POLICY) == isinstance(action, Nothing)


@given(FACTS)
def test_uncut_order_is_enough(facts: VenueFacts) -> None:
    """An order that was not cut is followed by none."""
    action = decide_hedge_guarded(facts, POLICY)
    if action == decide_hedge_reference(facts.liability_cents, facts.exposure_cents, POLICY.hedge):
        assert isinstance(decide_hedge_guarded(filled(facts, action), POLICY), Nothing)


@given(FACTS)
def test_orders_stay_within_their_limits(facts: VenueFacts) -> None:
    """No order exceeds the cap or the reference's, and none grows a short past what its collateral carries."""
    action = decide_hedge_guarded(facts, POLICY)
    wanted = decide_hedge_reference(facts.liability_cents, facts.exposure_cents, POLICY.hedge)
    contracts = abs(quantity(action)[0])
    assert contracts <= POLICY.order_contracts_max
    assert isinstance(wanted, Close) or contracts <= abs(quantity(wanted)[0])
    after = filled(facts, action).exposure_cents
    if isinstance(action, Sell) and after < 0:
        carried = facts.collateral_sats * facts.price_cents * POLICY.funding.high_bound_ratio_leverage / 10**8
        assert -after <= carried


@given(FACTS, st.integers(0, 10**9))
def test_more_liability_never_buys_more(facts: VenueFacts, more: int) -> None:
    """For one position and one collateral, contracts bought fall as the liability grows."""
    less = replace(facts, liability_cents=facts.liability_cents + POLICY.hedge.minimum_liability_threshold_cents)
    actions = (
        decide_hedge_guarded(one, POLICY) for one in (less, replace(less, liability_cents=less.liability_cents + more))
    )
    bought_less, bought_more = (quantity(action)[0] for action in actions)
    assert bought_less >= bought_more
