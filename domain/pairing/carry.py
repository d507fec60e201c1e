"""How many legs are best paired across worths: a transport along the line of worths.

Where a worth has more legs of one currency than of the other, the rest, its *excess*, can only pair with an excess of
the other currency at another worth. What pairs across the space between two worths is its *carry*: so many bitcoin legs from
below it with dollar legs from above it, or, negative, so many dollar legs from below with bitcoin legs from above.

Let `owed(carry)` be the least that pairing everything below a space can cost if so much is carried over it. It is convex, so
it is kept as its slopes, in ascending runs of (slope, units), and the carry at which they begin. An excess adds slopes of its
own to them, and a space tilts them by its length, once to each side of zero, and cuts off what it has no room for. A leg left
over costs `_UNPAIRED`, more than any gap, so most pairs come first and the smallest sum of gaps second; of equally good
answers the one that pairs with the lesser worth is taken. The way back reads the carries off the places where the slopes
pass the cost of a leg, which is known as the slope trick.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from operator import itemgetter
from typing import NamedTuple

_UNPAIRED = 1 << 62
"""What a leg without a partner costs, in cents of gap."""

_Slopes = list[tuple[int, int]]


class Space(NamedTuple):
    """What lies between two neighbours with an excess: how many cents, and how many legs of each currency may be carried."""

    cents: int
    usd_max: int
    btc_max: int


def best_carries(excess: Sequence[int], spaces: Sequence[Space]) -> list[int]:
    """Return the carry over each space; `excess` is bitcoin legs less dollar legs, from the least worth up.

    There is one space between any two neighbours. O(n r), where r is the number of runs of slopes, which is small: a space
    without room forgets what came before it.
    """
    bends: list[int] = []
    begin, slopes = 0, _Slopes()
    for number, space in zip(excess, spaces, strict=False):
        begin, slopes = _add(number, begin, slopes, bends)
        begin, slopes = _cross(space, begin, slopes)
    _add(excess[-1], begin, slopes, bends)
    return _read_back(excess, bends)


def _add(number: int, begin: int, slopes: _Slopes, bends: list[int]) -> tuple[int, _Slopes]:
    """Let an excess join, and note the carry up to which leaving its legs over is dearer than using them."""
    slope = -_UNPAIRED if number > 0 else _UNPAIRED
    find = bisect_right if number > 0 else bisect_left
    place = find(slopes, slope, key=itemgetter(0))
    bends.append(begin + sum(units for _, units in slopes[:place]))
    if number:
        slopes = [*slopes[:place], (slope, abs(number)), *slopes[place:]]
    return begin + min(number, 0), slopes


def _cross(space: Space, begin: int, slopes: _Slopes) -> tuple[int, _Slopes]:
    """Make every carried leg dearer by the cents it goes, and keep what there is room for."""
    crossed = _Slopes()
    at = begin
    for slope, units in slopes:
        for low, high, tilt in (
            (max(at, -space.usd_max), min(at + units, 0), -space.cents),
            (max(at, 0), min(at + units, space.btc_max), space.cents),
        ):
            if low < high:
                crossed.append((slope + tilt, high - low))
        at += units
    return max(begin, -space.usd_max), crossed


def _read_back(excess: Sequence[int], bends: Sequence[int]) -> list[int]:
    """Go back from the end, over which nothing is carried: each excess gives as much as its bend allows."""
    carries: list[int] = []
    carry = 0
    for number, bend in zip(reversed(excess[1:]), reversed(bends[1:]), strict=True):
        least, most = sorted((carry - number, carry))
        carry = min(max(bend, least), most)
        carries.append(carry)
    return carries[::-1]
