"""What an order locks, so that what is matched can be paid: a buyer cost at the limit and dearer fee, a seller what it sells.

A part of the order takes its part of the lock. Fees are cut off for each part, so parts may take less together than the
whole; what is left when the order ends is unlocked.
"""

from decimal import Decimal
from typing import Literal, NamedTuple

from domain.settlement.fees import Rates, fee_of
from domain.settlement.trade import Refusal, cost_of

Side = Literal["buy", "sell"]


class Order(NamedTuple):
    """An order as it locks: the limit is in whole units of the quote for one of the base, the quantity in smallest units."""

    side: Side
    limit: Decimal
    quantity: int
    base_decimals: int
    quote_decimals: int


def locked_by(order: Order, rates: Rates) -> int | Refusal:
    """Return what an order, or a part of it, locks: of the quote for a buyer, of the base for a seller; or why it cannot."""
    cost = cost_of(order.limit, order.quantity, order.base_decimals, order.quote_decimals)
    if isinstance(cost, Refusal) or order.side == "sell":
        return cost if isinstance(cost, Refusal) else order.quantity
    return cost + fee_of(cost, rates.dearer_ppm)
