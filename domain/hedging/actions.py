"""What a decision can ask for: each action names its amount in its unit, the rule that fired and a sentence for a
person.

`rule` is a stable code that dashboards and tests may depend on; `reason` may be reworded at any time. `Nothing` says
that all is well as it is. `Hold` says that something may be wrong and why it is left alone for now.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

Unit = Literal["contracts", "sats", "none"]


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is nothing to do."""

    name: ClassVar[str] = "nothing"
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Something would be done, were it not for the reason given."""

    name: ClassVar[str] = "hold"
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sell:
    """Sell contracts: the short grows, or a long shrinks."""

    name: ClassVar[str] = "sell"
    contracts: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Buy:
    """Buy contracts: the short shrinks."""

    name: ClassVar[str] = "buy"
    contracts: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Close:
    """Flatten the position, whatever its size and sign."""

    name: ClassVar[str] = "close"
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Deposit:
    """Send bitcoin on chain to the funding account of the exchange."""

    name: ClassVar[str] = "deposit"
    amount_sats: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Withdraw:
    """Bring bitcoin on chain from the funding account back to our wallet."""

    name: ClassVar[str] = "withdraw"
    amount_sats: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class FundingToTrading:
    """Move bitcoin inside the exchange, to where it serves as collateral."""

    name: ClassVar[str] = "funding_to_trading"
    amount_sats: int
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class TradingToFunding:
    """Move bitcoin inside the exchange, away from the trading account."""

    name: ClassVar[str] = "trading_to_funding"
    amount_sats: int
    rule: str
    reason: str


HedgeAction = Nothing | Hold | Sell | Buy | Close
FundingAction = Nothing | Hold | Deposit | Withdraw | FundingToTrading | TradingToFunding
Action = HedgeAction | FundingAction


def quantity(action: Action) -> tuple[int, Unit]:
    """How much of what: contracts are signed, negative when sold, and 0 for `Close`; sats are positive."""
    match action:
        case Sell(contracts=contracts):
            return -contracts, "contracts"
        case Buy(contracts=contracts):
            return contracts, "contracts"
        case Close():
            return 0, "contracts"
        case Nothing() | Hold():
            return 0, "none"
        case _:
            return action.amount_sats, "sats"
