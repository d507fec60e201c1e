"""What a matched trade moves, worked out whole before anything is written.

    buyer    quote   locked      - L                      what was locked for this quantity
                     available   + L - cost - buyer fee   the refund of what the price was better than the limit
             base    available   + quantity
    seller   base    locked      - quantity
             quote   available   + cost - seller fee
    revenue  quote               + both fees

Of each asset that comes to zero. What it costs is price times quantity, exactly: a price is in whole units of the quote for
one whole unit of the base, with as many digits as it has, and quantities and costs are in smallest units, of which an asset may
have any number of decimals. Nothing is rounded: a cost that is no whole number of smallest units cannot be paid, and is
refused. Sources: the settlement's document §3.3, cases SET-01 to SET-08.
"""

from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

AMOUNT_MAX = 10**38
"""Amounts are below it, as the ledger holds them."""


class Refusal(NamedTuple):
    """Why something is refused, by name; `shortfall` is by how much, in smallest units, where something is too little."""

    reason: str
    shortfall: int | None = None


class Matched(NamedTuple):
    """A trade as it was matched. `locked`, `buyer_fee` and `seller_fee` are in smallest units of the quote."""

    buyer: str
    seller: str
    price: Decimal
    quantity: int
    locked: int
    buyer_fee: int
    seller_fee: int


class Moves(NamedTuple):
    """What a trade moves, in smallest units: of the base the quantity, of the quote the rest."""

    quantity: int
    locked: int
    refund: int
    proceeds: int
    revenue: int


def cost_of(price: Decimal, quantity: int, base_decimals: int, quote_decimals: int) -> int | Refusal:
    """Return what a quantity costs in smallest units of the quote, or why that is no amount."""
    over, under = _ratio(price)
    cost, rest = divmod(over * quantity * 10**quote_decimals, under * 10**base_decimals)
    if rest:
        return Refusal("inexact")
    if cost <= 0:
        return Refusal("worthless")
    return cost if cost < AMOUNT_MAX else Refusal("too_large")


@lru_cache(4096)
def _ratio(price: Decimal) -> tuple[int, int]:
    # Many trades have the same price, and every trade asks for two.
    return price.as_integer_ratio()


def moves_of(trade: Matched, cost: int) -> Moves | Refusal:
    """Return what a trade of this cost moves, or the first reason for which it cannot settle."""
    if trade.buyer == trade.seller:
        return Refusal("self_trade")
    refund = trade.locked - cost - trade.buyer_fee
    if refund < 0:
        return Refusal("lock_too_small", -refund)
    proceeds = cost - trade.seller_fee
    if proceeds < 0:
        return Refusal("fee_over_proceeds", -proceeds)
    return Moves(trade.quantity, trade.locked, refund, proceeds, trade.buyer_fee + trade.seller_fee)
