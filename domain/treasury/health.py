"""Whether a provider is trusted with the next conversion: how its last ones ended, and a breaker that opens when they
fail.

A rate over all times hides an outage of today, so only the last outcomes count. With too few of them nobody is judged.

The breaker: after `failures_to_open` failures in a row it is open, and nothing is sent. After `open_ms` the next who asks
finds it half open, and may try. After `successes_to_close` successes it is closed; one failure opens it again, for as
long anew. Answers that come while it is open are those of earlier conversions, and move nothing.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple

Breaker = Literal["closed", "open", "half_open"]
BreakerEvent = Literal["success", "failure", "asked"]


class HealthPolicy(NamedTuple):
    """Of the last `window` outcomes at least `rate_min` succeeded, once there are `attempts_min`."""

    window: int = 20
    attempts_min: int = 10
    rate_min: Decimal = Decimal("0.8")


class Tally(NamedTuple):
    """How many conversions succeeded and failed."""

    successes: int
    failures: int

    @property
    def attempts(self) -> int:
        """How many there were."""
        return self.successes + self.failures

    @property
    def rate(self) -> Fraction:
        """The share that succeeded; of none all did."""
        return Fraction(self.successes, self.attempts) if self.attempts else Fraction(1)


def last_of(outcomes: Sequence[bool], policy: HealthPolicy) -> Tally:
    """Return how the last conversions ended, the newest last."""
    last = outcomes[-policy.window :]
    return Tally(sum(last), len(last) - sum(last))


def is_healthy(tally: Tally, policy: HealthPolicy) -> bool:
    """Whether a provider may be asked, by how its last conversions ended; compared exactly, not as a rounded rate."""
    return tally.attempts < policy.attempts_min or tally.rate >= Fraction(policy.rate_min)


class BreakerPolicy(NamedTuple):
    """When a breaker opens, for how long, and when it closes."""

    failures_to_open: int = 5
    open_ms: int = 60_000
    successes_to_close: int = 2


class BreakerState(NamedTuple):
    """A breaker, how many outcomes of one kind came in a row, and since when it is open."""

    state: Breaker = "closed"
    in_row: int = 0
    opened_at_ms: int = 0


def break_on(breaker: BreakerState, event: BreakerEvent, now_ms: int, policy: BreakerPolicy) -> BreakerState:
    """Return the breaker after something happened."""
    match breaker.state, event:
        case "open", "asked" if now_ms - breaker.opened_at_ms >= policy.open_ms:
            return BreakerState("half_open", 0, breaker.opened_at_ms)
        case "closed", "failure":
            return _after(breaker, policy.failures_to_open, BreakerState("open", 0, now_ms))
        case "half_open", "failure":
            return BreakerState("open", 0, now_ms)
        case "half_open", "success":
            return _after(breaker, policy.successes_to_close, BreakerState())
        case "closed", "success":
            return BreakerState()
        case _:
            return breaker


def _after(breaker: BreakerState, enough: int, then: BreakerState) -> BreakerState:
    return then if breaker.in_row + 1 >= enough else breaker._replace(in_row=breaker.in_row + 1)
