"""What trading costs: a share of the cost in millionths, by the level of whoever trades, less for the side that rested.

The document names the first and the last level; those between fall evenly, in round numbers, and a level over the last is the
last. A fee is cut off and not rounded, so an order whose parts are filled one by one never pays more than it would at once.
What an order locks has room for the dearer of its two rates, since it is not known yet which side will rest.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

PPM = 1_000_000

Role = Literal["maker", "taker"]


class Rates(NamedTuple):
    """What one level pays, in millionths of the cost."""

    maker_ppm: int
    taker_ppm: int

    @property
    def dearer_ppm(self) -> int:
        """What an order has to be able to pay, whichever side it comes to be."""
        return max(self)


LEVELS = tuple(
    map(
        Rates,
        (1000, 900, 800, 700, 600, 500, 400, 300, 200, 100),
        (1500, 1400, 1300, 1200, 1100, 1000, 850, 700, 550, 400),
    )
)
"""The rates of levels 0 to 9 where nothing else is said."""


def rates_of(level: int, levels: Sequence[Rates] = LEVELS) -> Rates:
    """Return the rates of a level; one over the last is the last."""
    return levels[min(level, len(levels) - 1)]


def fee_of(cost: int, rate_ppm: int) -> int:
    """Return the fee on a cost in smallest units, cut off."""
    return cost * rate_ppm // PPM
