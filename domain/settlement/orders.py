"""Open orders: what each has locked, and how much of it a trade takes.

A part of an order takes what that part locks by itself, the last part what is left. An order that has ended is forgotten.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from domain.settlement.fees import Rates
from domain.settlement.locks import Order, locked_by
from domain.settlement.trade import Refusal


class Open(NamedTuple):
    """An open order: as it was placed, the rates at which it was locked, and what is left of it and of its lock."""

    customer: str
    symbol: str
    order: Order
    rates: Rates
    quantity: int
    locked: int

    def crosses(self, price: Decimal) -> bool:
        """Return whether it may trade at a price."""
        return price <= self.order.limit if self.order.side == "buy" else price >= self.order.limit

    def part(self, quantity: int) -> int:
        """Return what a part of it takes of the lock: the last one all that is left."""
        if quantity == self.quantity or self.order.side == "sell":
            return self.locked if quantity == self.quantity else quantity
        taken = locked_by(self.order._replace(quantity=quantity), self.rates)
        return 0 if isinstance(taken, Refusal) else taken

    def less(self, quantity: int, taken: int) -> "Open":
        """Return it after so much of it was matched, for which so much of the lock was taken."""
        return Open(self.customer, self.symbol, self.order, self.rates, self.quantity - quantity, self.locked - taken)


class OpenOrders:
    """The open orders by their ids."""

    def __init__(self) -> None:
        self._orders: dict[str, Open] = {}

    def __iter__(self) -> Iterator[tuple[str, Open]]:
        return iter(self._orders.items())

    def __len__(self) -> int:
        return len(self._orders)

    def get(self, order_id: str) -> Open | None:
        """Return an order, None when it is not open."""
        return self._orders.get(order_id)

    def put(self, order_id: str, order: Open) -> None:
        """Keep an order as it is now; one of which nothing is left has ended."""
        if order.quantity:
            self._orders[order_id] = order
        else:
            self._orders.pop(order_id, None)

    def end(self, order_id: str) -> Open | None:
        """Forget an order, and return what it was."""
        return self._orders.pop(order_id, None)
