"""How long to wait before a job is tried again, and how loud to be about it.

Two rules. That of conversions (`BackOff`), by which jobs wait: the delay grows by a factor without a cap, so often as there are
retries; what a provider refuses for good is not tried again. And the reference system's (`RetryPolicy`), which no flow asks
yet: the delay doubles from a first value up to a cap; the attempt that is the last one is an error, those before it are
warnings. Its numbers are those of the reference's job executor; its wallet poller starts at 5 seconds.
"""

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

Level = Literal["WARN", "ERROR"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`warn_retries` failures are warnings; any after them is an error. Attempts are counted from one."""

    delay_first_seconds: int = 1
    delay_max_seconds: int = 60
    attempts_max: int = 5
    warn_retries: int = 4


def delays_seconds(policy: RetryPolicy) -> list[int]:
    """The waits before the second attempt, the third, and so on."""
    delays: list[int] = []
    delay = min(policy.delay_first_seconds, policy.delay_max_seconds)
    for _ in range(policy.attempts_max - 1):
        delays.append(delay)
        delay = min(delay * 2, policy.delay_max_seconds)
    return delays


def level(attempt: int, policy: RetryPolicy) -> Level:
    """How loud the failure of an attempt is."""
    return "WARN" if attempt <= policy.warn_retries else "ERROR"


def levels(policy: RetryPolicy) -> list[Level]:
    """How loud the failure of each attempt is, from the first to the last."""
    return [level(attempt, policy) for attempt in range(1, policy.attempts_max + 1)]


class BackOff(NamedTuple):
    """How often a conversion is tried again after its first attempt, and when."""

    first_ms: int = 60_000
    multiplier: Decimal = Decimal(2)
    retries_max: int = 3


def retry_at_ms(retries: int, failed_at_ms: int, back_off: BackOff) -> int | None:
    """Return when to try again after a failure that had so many retries before it, None if there are no more."""
    if retries >= back_off.retries_max:
        return None
    return failed_at_ms + round(back_off.first_ms * Fraction(back_off.multiplier) ** retries)
