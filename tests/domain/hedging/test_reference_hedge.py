"""The reference hedge decision: bands, roundings, and one order that is enough."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.actions import Buy, Close, HedgeAction, Hold, Nothing, Sell, quantity
from domain.hedging.reference_hedge import HedgePolicy, decide_hedge_reference
from domain.money import CENTS_PER_CONTRACT

POLICY = HedgePolicy()
LIABILITIES = st.integers(0, 10**12)
EXPOSURES = st.integers(-(10**12), 10**12)


def decide(liability: str, exposure: str) -> HedgeAction:
    """The decision on two decimals."""
    return decide_hedge_reference(Decimal(liability), Decimal(exposure), POLICY)


@pytest.mark.parametrize(
    ("liability", "exposure", "kind", "contracts", "rule"),
    [
        ("10000", "-10000", Nothing, 0, "in_band"),
        ("0", "0", Nothing, 0, "flat"),
        ("0", "-10000", Close, 0, "below_minimum_liability"),
        ("4999.99", "1", Close, 0, "below_minimum_liability"),
        ("20000", "-10000", Sell, -1, "below_low_bound"),
        ("1000000", "-950000", Nothing, 0, "in_band"),
        ("1000000", "-949999.05", Sell, -3, "below_low_bound"),
        ("1000000", "-1030000", Nothing, 0, "in_band"),
        ("1000000", "-1030001.03", Buy, 3, "above_high_bound"),
        ("10000", "10000", Sell, -2, "long"),
        ("25000", "0", Sell, -2, "below_low_bound"),
        ("100000", "-94999", Nothing, 0, "below_low_bound"),
        ("-1", "0", Hold, 0, "liability_negative"),
        ("NaN", "0", Hold, 0, "not_an_amount"),
        ("1E+999999", "0", Hold, 0, "not_an_amount"),
    ],
)
def test_hedge_table(liability: str, exposure: str, kind: type, contracts: int, rule: str) -> None:
    """Each rule fires where it should, and names itself and its contracts."""
    action = decide(liability, exposure)
    assert (kind, contracts, rule) == (type(action), quantity(action)[0], action.rule)


@given(LIABILITIES, EXPOSURES)
def test_one_order_is_enough(liability: int, exposure: int) -> None:
    """Once an order is filled the same rule has nothing more to do."""
    action = decide_hedge_reference(liability, exposure, POLICY)
    contracts, _ = quantity(action)
    after = 0 if isinstance(action, Close) else exposure + contracts * CENTS_PER_CONTRACT
    assert isinstance(decide_hedge_reference(liability, after, POLICY), Nothing)


@given(LIABILITIES, LIABILITIES, EXPOSURES)
def test_more_liability_never_sells_less(one: int, other: int, exposure: int) -> None:
    """For a given position, contracts bought fall as the liability grows."""
    less, more = sorted((one, other))
    if less >= POLICY.minimum_liability_threshold_cents:
        actions = (decide_hedge_reference(liability, exposure, POLICY) for liability in (less, more))
        bought_less, bought_more = (quantity(action)[0] for action in actions)
        assert bought_less >= bought_more


@given(st.integers(), st.integers())
def test_nothing_makes_it_raise(liability: int, exposure: int) -> None:
    """Any two numbers lead to an action with a rule and a sentence."""
    action = decide_hedge_reference(liability, exposure, POLICY)
    assert action.rule
    assert action.reason
