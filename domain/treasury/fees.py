"""What a conversion costs: how much to order so that enough arrives, and what became of the difference afterwards."""

from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

BASIS_POINTS = 10_000


class Order(NamedTuple):
    """What is ordered, what of it is the fee, and what arrives."""

    order: int
    fee: int
    received: int


class Cost(NamedTuple):
    """What of a conversion went to the fee, and what to a rate that was worse than the one that was quoted."""

    fee: int
    slippage: int
    fee_bps: Fraction
    slippage_bps: Fraction


def gross_up(need: int, fee_rate: Decimal, step: int = 1) -> Order:
    """Return the smallest order of whole steps after whose fee at least `need` arrives; fees are rounded half to even."""
    kept = 1 - Fraction(fee_rate)
    order = -(-Fraction(need) / kept // step) * step
    fee = fee_of(order, fee_rate)
    return Order(order, fee, order - fee)


def fee_of(amount: int, fee_rate: Decimal) -> int:
    """Return the fee on an amount, half to even."""
    return round(amount * Fraction(fee_rate))


def cost_of(source: int, quoted_rate: Decimal, destination: int, fee: int) -> Cost:
    """Return where the difference went between what was quoted for `source` and what arrived."""
    quoted = Fraction(quoted_rate) * source
    slippage = round(quoted) - fee - destination
    return Cost(fee, slippage, fee / quoted * BASIS_POINTS, slippage / quoted * BASIS_POINTS)
