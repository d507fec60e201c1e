"""What a policy would have done over flows that were, as if whatever it orders were there at once."""

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from domain.treasury.buffer import Buffer
from domain.treasury.decide import BufferPolicy, is_triggered, needed
from domain.treasury.fees import fee_of


class Outcome(NamedTuple):
    """How often and how much was converted for which fees, the lowest balance before anything came, and the last."""

    conversions: int
    volume: int
    fees: int
    low: int
    close: int


def backtest(opened: Buffer, flows: Sequence[int], policy: BufferPolicy, fee_rate: Decimal) -> Outcome:
    """Return what a policy comes to over the flows of one buffer, in their order."""
    buffer, low, orders = opened, opened.posted, list[int]()
    for flow in flows:
        buffer = buffer._replace(posted=buffer.posted + flow)
        low = min(low, buffer.posted)
        if is_triggered(buffer, policy):
            orders.append(needed(buffer, policy))
            buffer = buffer._replace(posted=buffer.posted + orders[-1])
    return Outcome(len(orders), sum(orders), sum(fee_of(one, fee_rate) for one in orders), low, buffer.posted)
