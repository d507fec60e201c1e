"""The reference funding decision: ten branches in their order, and the flapping that comes with them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.hedging.actions import (
    Deposit,
    FundingAction,
    FundingToTrading,
    Hold,
    Nothing,
    TradingToFunding,
    Withdraw,
    quantity,
)
from domain.hedging.reference_funding import FundingPolicy, decide_funding_reference, split_deposit, split_withdraw

POLICY = FundingPolicy()
PRICE_CENTS = "2000000"
BTC = st.decimals(-2, 10, places=8)


def decide(liability: str, exposure: str, collateral: str, funding: str, *, price: str = PRICE_CENTS) -> FundingAction:
    """The decision on decimals: cents, cents, bitcoin, bitcoin."""
    amounts = (Decimal(liability), Decimal(exposure), Decimal(collateral), Decimal(price), Decimal(funding))
    return decide_funding_reference(*amounts, POLICY)


@pytest.mark.parametrize(
    ("inputs", "kind", "sats", "branch"),
    [
        ("1000000 0 0 0", Deposit, 116_666_667, 1),
        ("1000000 0 0 0.00049999", Deposit, 116_616_668, 1),
        ("1000000 0 0 2", FundingToTrading, 16_666_667, 2),
        ("0 0 0.3 1", TradingToFunding, 30_000_000, 3),
        ("0 0 0.000000004 0", Nothing, 0, 3),
        ("0 0 0 1.3", Withdraw, 130_000_000, 4),
        ("10000000 -8000000 1 2", FundingToTrading, 66_666_667, 5),
        ("10000000 -8000000 1 0", Deposit, 166_666_667, 5),
        ("4000000 -3999999 1 1", TradingToFunding, 33_333_350, 6),
        ("6000000 -6000000 1 1.2", Withdraw, 20_000_000, 7),
        ("7200000 -7200001 1 1", FundingToTrading, 20_000_017, 8),
        ("6000000 -6000000 1 0.5", Deposit, 50_000_000, 9),
        ("6000000 -6000000 1 1", Nothing, 0, 10),
    ],
)
def test_every_branch(inputs: str, kind: type, sats: int, branch: int) -> None:
    """Each branch fires where it should, with its amount in whole satoshis."""
    action = decide(*inputs.split())
    assert (kind, sats, f"branch_{branch}") == (type(action), quantity(action)[0], action.rule)


def test_fresh_collateral_is_sent_back() -> None:
    """The reference's known defect: collateral that came in for an order not yet filled goes out again."""
    came_in = decide("1000000", "0", "0", "1")
    goes_out = decide("1000000", "0", "0.16666667", "0.83333333")
    assert (FundingToTrading, TradingToFunding) == (type(came_in), type(goes_out))
    assert quantity(came_in) == quantity(goes_out)


@pytest.mark.parametrize("price", ["0", "-1", "NaN", "Infinity", "1E-30", "1E+30"])
def test_no_decision_without_a_price(price: str) -> None:
    """A price that cannot be one holds the decision."""
    assert Hold("price_unusable", f"{Decimal(price)} cents is no price of a bitcoin") == decide(
        "10000", "0", "0", "0", price=price
    )


@given(st.integers(0, 10**9), st.integers(-(10**9), 10**9), BTC, st.integers(1, 10**8), BTC)
def test_nothing_makes_it_raise(liability: int, exposure: int, collateral: Decimal, price: int, funding: Decimal) -> None:
    """Any facts lead to an action, and what moves is positive."""
    action = decide_funding_reference(liability, exposure, collateral, Decimal(price), funding, POLICY)
    sats, unit = quantity(action)
    assert (sats > 0) == (unit == "sats")


@given(BTC, BTC, BTC)
def test_deposit_split_leaves_the_buffer(funding: Decimal, amount: Decimal, minimum: Decimal) -> None:
    """After a deposit and the move inside, the whole amount is across and the buffer is at least its minimum."""
    internal, external = split_deposit(funding, amount, minimum)
    assert internal <= funding
    assert funding + external - amount >= minimum


@given(BTC, BTC, BTC)
def test_withdraw_split_leaves_the_buffer(funding: Decimal, amount: Decimal, minimum: Decimal) -> None:
    """What leaves is what the buffer has above its minimum once the amount has come in."""
    internal, external = split_withdraw(funding, amount, minimum)
    assert amount == internal
    assert max(Decimal(0), funding + amount - minimum) == external


@pytest.mark.parametrize("field", ["high_safebound_ratio_leverage", "high_bound_buffer_percentage"])
def test_policy_refuses_a_ratio_of_zero(field: str) -> None:
    """No setting can make a decision divide by zero."""
    with pytest.raises(ValidationError):
        FundingPolicy(**{field: "0"})
