"""What to do about one buffer: nothing, order money for it, wait until more is missing, say that none is there, or
propose a sweep.

The rules in their order, the first that applies decides:

| rule | applies when | what is done |
|---|---|---|
| over_max | the position is over the maximum | propose to sweep what is over the target; a person approves |
| enough | the position is at the level that triggers, or over it | nothing |
| below_ticket | less is missing than the smallest ticket | wait |
| covered, short | otherwise | order from the sources what they may give; what they may not is a shortfall |

Missing is what the position lacks of the target, so what is in flight is not ordered again. It may be rounded up to the
buffer's batch, if the position stays within the maximum then. It is an emergency when what is available is under
`emergency_ratio` of the minimum.

Sources of the same currency come first, and give what they have over their *target*: a transfer without a fee. Others are
converted, and give down to their *minimum*, but no less than the smallest ticket. A buffer under its own floor gives
nothing, so two that are short never feed each other. Source: the treasury's document and `settled` 6 to 11.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

from domain.treasury.buffer import Buffer, missing

Action = Literal["NONE", "CONVERT", "DEFER", "SHORTFALL", "SWEEP_SUGGESTED"]
How = Literal["transfer", "conversion"]


class BufferPolicy(NamedTuple):
    """How a buffer is replenished.

    `trigger` is the threshold under which it is; `rounding` says whether orders are exactly what is missing or whole
    batches; `ticket_min` is the smallest amount that a provider takes.
    """

    trigger: Literal["min", "target"] = "min"
    rounding: Literal["exact", "batch"] = "exact"
    protect_source_min: bool = True
    emergency_ratio: Decimal = Decimal("0.5")
    ticket_min: int = 0


class Leg(NamedTuple):
    """What one source gives, and how it comes."""

    source: str
    how: How
    amount: int


class BufferDecision(NamedTuple):
    """What is to be done about a buffer, by which rule, and from where."""

    action: Action
    rule: str
    is_emergency: bool = False
    need: int = 0
    legs: Sequence[Leg] = ()
    shortfall: int = 0
    excess: int = 0

    @property
    def amount(self) -> int:
        """What all sources give."""
        return sum(leg.amount for leg in self.legs)


def decide_buffer(buffer: Buffer, sources: Sequence[Buffer], policy: BufferPolicy) -> BufferDecision:
    """Return what is to be done about a buffer; sources of one kind are asked in the order that they are given in."""
    limits, position = buffer.thresholds, buffer.position
    if position > limits.max:
        return BufferDecision("SWEEP_SUGGESTED", "over_max", excess=position - limits.target)
    if not is_triggered(buffer, policy):
        return BufferDecision("NONE", "enough")
    need, is_emergency = needed(buffer, policy), is_urgent(buffer.available, limits.min, policy)
    if need < policy.ticket_min:
        return BufferDecision("DEFER", "below_ticket", is_emergency, need)
    legs = [*_legs(buffer, sources, need, policy)]
    short = need - sum(leg.amount for leg in legs)
    return BufferDecision(
        "CONVERT" if legs else "SHORTFALL", "short" if short else "covered", is_emergency, need, legs, short
    )


def is_triggered(buffer: Buffer, policy: BufferPolicy) -> bool:
    """Whether the position is under the threshold at which a buffer is filled up."""
    return buffer.position < (buffer.thresholds.min if policy.trigger == "min" else buffer.thresholds.target)


def needed(buffer: Buffer, policy: BufferPolicy) -> int:
    """Return what is to be ordered for a buffer that is to be filled up."""
    need, batch = missing(buffer.position, buffer.thresholds), buffer.thresholds.batch
    rounded = -(-need // batch) * batch
    fits = buffer.position + rounded <= buffer.thresholds.max
    return rounded if policy.rounding == "batch" and fits else need


def is_urgent(available: int, minimum: int, policy: BufferPolicy) -> bool:
    """Whether so little is available that nobody waits for the end of a window."""
    return available < Fraction(policy.emergency_ratio) * minimum


def _legs(buffer: Buffer, sources: Sequence[Buffer], need: int, policy: BufferPolicy) -> Iterator[Leg]:
    same = [source for source in sources if source.currency == buffer.currency]
    for source in (*same, *(source for source in sources if source.currency != buffer.currency)):
        how: How = "transfer" if source in same else "conversion"
        amount = min(need, may_give(source, how, policy))
        if amount > 0 and (how == "transfer" or amount >= policy.ticket_min):
            need -= amount
            yield Leg(source.name, how, amount)


def may_give(source: Buffer, how: How, policy: BufferPolicy) -> int:
    """Return what a source may give, zero or less where it may give nothing."""
    if how == "transfer":
        return source.available - source.thresholds.target
    return source.available - (source.thresholds.min if policy.protect_source_min else 0)
