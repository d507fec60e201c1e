"""When a buffer falls under its minimum, at the rate at which money has moved of late, as a band and never as a bare number.

What flowed in a window counts less with every window after it. With a memory of n windows the newest counts 2/(n + 1), and
the first few all the same, so that no start counts more than it should:

    weight = max(1/k, 2/(n + 1))      of the k-th window
    mean  += weight × (flow − mean)
    variance = (1 − weight) × (variance + weight × (flow − mean before)²)

After t windows the position is expected at position + mean × t, and with it z·σ·√t to either side, since the windows are
taken as independent. The band is where its two edges meet the minimum, the middle where the expectation does.
Source: the treasury's document, X17.
"""

from decimal import ROUND_FLOOR, Context, Decimal, localcontext
from typing import NamedTuple

from domain.times import DAY_MS, LATEST_MS

_ESTIMATE = Context(prec=40)
"""A state of fixed size: exact fractions would grow with every window."""


class Moments(NamedTuple):
    """How many windows were seen, and the mean and the variance of what flowed in one, in with a plus."""

    windows: int = 0
    mean: Decimal = Decimal(0)
    variance: Decimal = Decimal(0)


class Depletion(NamedTuple):
    """When a position is expected to fall under its minimum, and the earliest and the latest time that are likely."""

    at_ms: int
    earliest_ms: int
    latest_ms: int


def weigh_in(moments: Moments, flow: int, memory: int) -> Moments:
    """Return the moments after one more window, of which about `memory` count."""
    with localcontext(_ESTIMATE):
        weight = max(1 / Decimal(moments.windows + 1), 2 / Decimal(memory + 1))
        off = flow - moments.mean
        step = weight * off
        return Moments(moments.windows + 1, moments.mean + step, (1 - weight) * (moments.variance + off * step))


def per_day(moments: Moments, span_ms: int) -> Moments:
    """Return the moments of a day from those of its windows; it is right as far as windows do not depend on each other."""
    with localcontext(_ESTIMATE):
        windows = Decimal(DAY_MS) / span_ms
        return Moments(moments.windows, moments.mean * windows, moments.variance * windows)


def depletion(position: int, minimum: int, moments: Moments, now_ms: int, span_ms: int, z: Decimal) -> Depletion | None:
    """Return when a position falls under its minimum; None if money does not flow out, or so slowly that no clock tells."""
    if moments.mean >= 0:
        return None
    if position < minimum:
        return Depletion(now_ms, now_ms, now_ms)
    with localcontext(_ESTIMATE):
        lost, gap = -moments.mean, Decimal(position - minimum)
        spread = z * moments.variance.sqrt()
        root = (spread**2 + 4 * lost * gap).sqrt()
        # √t solves lost × t ± spread × √t = gap; written so that nothing is taken from what is nearly the same.
        early = (2 * gap / (root + spread)) ** 2 if gap else gap
        at, earliest, latest = (
            _after(now_ms, one, span_ms) for one in (gap / lost, early, ((root + spread) / (2 * lost)) ** 2)
        )
    return None if at > LATEST_MS else Depletion(at, min(earliest, at), min(max(latest, at), LATEST_MS))


def _after(now_ms: int, windows: Decimal, span_ms: int) -> int:
    return now_ms + int((windows * span_ms).to_integral_value(ROUND_FLOOR))
