"""The port to an exchange: seven questions and a close, integers in minor units, and the three ways to fail of `answers`.

Everything that depends on the exchange stays behind it.
"""

from collections.abc import Sequence
from typing import Protocol

from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.venue.account import AccountEvent, Balances, OrderState, Position, TransferState


class Exchange(Protocol):
    """One account at one exchange. Every method may raise `Unknown`.

    A withdrawal of x takes x out of the funding pocket, the network fee included; an adapter for an exchange that takes
    the fee on top sends x less the fee.
    """

    def place(self, order: HedgeOrder, expires_at_ms: int) -> OrderState:
        """Place a market order that must be refused after `expires_at_ms`. Raises `Refused`."""
        ...

    def order(self, client_order_id: str) -> OrderState:
        """Look an order up. Raises `NotFound`."""
        ...

    def transfer(self, transfer: CollateralTransfer, expires_at_ms: int) -> TransferState:
        """Ask for a transfer: a deposit or withdrawal on chain, or between the pockets. Raises `Refused`."""
        ...

    def transfer_state(self, client_transfer_id: str) -> TransferState:
        """Look a transfer up. Raises `NotFound`."""
        ...

    def position(self) -> Position:
        """The net position, with the sequence of the newest event that it covers."""
        ...

    def balances(self) -> Balances:
        """Both pockets, with the sequence of the newest event that they cover."""
        ...

    def events(self, after_sequence: int, limit: int) -> Sequence[AccountEvent]:
        """At most `limit` events of the account with a larger sequence, oldest first."""
        ...

    def close(self) -> None:
        """Give the connection back."""
        ...
