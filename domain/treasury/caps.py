"""How much may be done at once, and within a sliding time: what is over either is refused, and counts for nothing."""

from collections.abc import Sequence
from typing import NamedTuple


class Caps(NamedTuple):
    """The most of one action, and of all within the last `cycle_ms`."""

    action_max: int
    cycle_max: int
    cycle_ms: int


class Acted(NamedTuple):
    """What was done, and when."""

    at_ms: int
    amount: int


def is_capped(amount: int, now_ms: int, acted: Sequence[Acted], caps: Caps) -> bool:
    """Whether an amount is too much for one action, or for the time that ends now, of which the first moment counts no
    more.
    """
    return amount > room(now_ms, acted, caps)


def room(now_ms: int, acted: Sequence[Acted], caps: Caps) -> int:
    """Return the most that may be done now; below zero where more was done already than may be."""
    used = sum(one.amount for one in acted if one.at_ms > now_ms - caps.cycle_ms)
    return min(caps.action_max, caps.cycle_max - used)
