"""A buffer: money that is kept ready, between a smallest and a largest amount, around a target.

Three numbers say what is in it. *Posted* is in the books; *in flight* was ordered and has not come; *reserved* is in the
books and will leave. What can be given away is posted − reserved. What is decided on is the *position*, posted + in
flight − reserved: whoever looked at the posted amount alone would order the same again until the first order has come.

All comparisons are strict, as the treasury's document has them: an amount at a threshold is not beyond it.
"""

from typing import Literal, NamedTuple

Status = Literal["CRITICAL_LOW", "BELOW_TARGET", "HEALTHY", "OVER_CAPITALIZED"]


class Thresholds(NamedTuple):
    """What a buffer is kept between: `min` < `target` < `max`; `batch` is what orders may be rounded up to."""

    min: int
    target: int
    max: int
    batch: int


class Buffer(NamedTuple):
    """A buffer as it is at one moment; `posted` may be less than `reserved`."""

    name: str
    currency: str
    posted: int
    in_flight: int
    reserved: int
    thresholds: Thresholds

    @property
    def available(self) -> int:
        """What may be given away."""
        return self.posted - self.reserved

    @property
    def position(self) -> int:
        """What will be there when everything that was ordered has come, and everything that is promised has left."""
        return self.posted + self.in_flight - self.reserved


def is_ordered(thresholds: Thresholds) -> bool:
    """Whether thresholds can be kept: all above zero, each above the one before."""
    return 0 < thresholds.min < thresholds.target < thresholds.max and thresholds.batch > 0


def status(balance: int, thresholds: Thresholds) -> Status:
    """Return how a balance stands to its thresholds."""
    if balance < thresholds.min:
        return "CRITICAL_LOW"
    if balance < thresholds.target:
        return "BELOW_TARGET"
    return "OVER_CAPITALIZED" if balance > thresholds.max else "HEALTHY"


def missing(balance: int, thresholds: Thresholds) -> int:
    """Return what a balance lacks of its target."""
    return max(0, thresholds.target - balance)
