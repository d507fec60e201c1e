"""Actions: how much of what."""

import pytest

from domain.hedging.actions import (
    Action,
    Buy,
    Close,
    Deposit,
    FundingToTrading,
    Hold,
    Nothing,
    Sell,
    TradingToFunding,
    Unit,
    Withdraw,
    quantity,
)


@pytest.mark.parametrize(
    ("action", "name", "amount", "unit"),
    [
        (Nothing("r", "s"), "nothing", 0, "none"),
        (Hold("r", "s"), "hold", 0, "none"),
        (Sell(3, "r", "s"), "sell", -3, "contracts"),
        (Buy(3, "r", "s"), "buy", 3, "contracts"),
        (Close("r", "s"), "close", 0, "contracts"),
        (Deposit(7, "r", "s"), "deposit", 7, "sats"),
        (Withdraw(7, "r", "s"), "withdraw", 7, "sats"),
        (FundingToTrading(7, "r", "s"), "funding_to_trading", 7, "sats"),
        (TradingToFunding(7, "r", "s"), "trading_to_funding", 7, "sats"),
    ],
)
def test_quantity_of_each_action(action: Action, name: str, amount: int, unit: Unit) -> None:
    """Contracts are signed, satoshis positive, and what does nothing has no unit."""
    assert (name, amount, unit) == (action.name, *quantity(action))


def test_actions_of_different_kinds_differ() -> None:
    """Two kinds of action with the same words are not equal."""
    assert Nothing("r", "s") != Hold("r", "s")
