"""Which smallest change of what was in a buffer would have changed what was decided about it.

The rules compare the position with the maximum and the trigger, what is missing with the smallest ticket and with what sources
may give, and what is available with the emergency's bound; so an answer changes just where one of these is reached, and only the
amounts beside those places are tried, with the rules themselves.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil
from typing import NamedTuple

from domain.treasury.buffer import Buffer
from domain.treasury.decide import BufferPolicy, How, decide_buffer, may_give


class Shift(NamedTuple):
    """What would have had to be posted in place of what was, in micro-dollars, and what would have been decided then."""

    posted: int
    by: int
    action: str
    rule: str
    is_emergency: bool


def nearest_change(buffer: Buffer, sources: Sequence[Buffer], policy: BufferPolicy) -> Shift | None:
    """Return the smallest change of the posted amount after which another rule would have held; None if there is none."""
    decided = decide_buffer(buffer, sources, policy)
    was = (decided.action, decided.rule, decided.is_emergency)
    for posted in sorted(_edges(buffer, sources, policy), key=lambda one: (abs(one - buffer.posted), one)):
        found = decide_buffer(buffer._replace(posted=posted), sources, policy)
        if (found.action, found.rule, found.is_emergency) != was:
            return Shift(posted, posted - buffer.posted, found.action, found.rule, found.is_emergency)
    return None


def _edges(buffer: Buffer, sources: Sequence[Buffer], policy: BufferPolicy) -> Iterator[int]:
    """Yield the amounts on both sides of each place at which a rule changes, none below zero."""
    limits, coming = buffer.thresholds, buffer.in_flight - buffer.reserved
    trigger = limits.min if policy.trigger == "min" else limits.target
    emergency = ceil(Fraction(policy.emergency_ratio) * limits.min) + buffer.reserved
    ways: Sequence[How] = ["transfer" if one.currency == buffer.currency else "conversion" for one in sources]
    most = sum(max(0, may_give(one, how, policy)) for one, how in zip(sources, ways, strict=True))
    lacks = [limits.target - missing - coming for missing in (policy.ticket_min, most)]
    places = (limits.max - coming, trigger - coming, *lacks, emergency)
    for place in places:
        yield from (posted for posted in (place - 1, place, place + 1) if posted >= 0)
