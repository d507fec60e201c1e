"""Which provider converts an amount, or which several of them share it.

Each provider that may not is refused by the first of these reasons that applies, and the reason is kept:

INACTIVE, BREAKER_OPEN, DEGRADED, UNHEALTHY, DIRECTION, BELOW_MIN, ABOVE_MAX, DAILY_LIMIT, ETA.

One that is degraded may be asked in an emergency, when nobody else is left. Of those who may, the one with the smallest
priority is chosen, then the better rate, then the lower fee, then the name; or, where cost counts, the largest expected
value first, which is the rate times what is left after the fee.

Where nobody takes the whole amount it may be split: by the same order each gets what it has room for, but never so much
that less is left than the next one takes. Source: the treasury's document and `settled` 12 to 15.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Literal, NamedTuple, get_args

from domain.treasury.fees import BASIS_POINTS
from domain.treasury.health import Breaker, HealthPolicy, Tally, is_healthy

ProviderStatus = Literal["active", "degraded", "inactive"]
Direction = Literal["usdc_to_usd", "usd_to_usdc", "usd_to_usd"]
Reason = Literal[
    "INACTIVE", "BREAKER_OPEN", "DEGRADED", "UNHEALTHY", "DIRECTION", "BELOW_MIN", "ABOVE_MAX", "DAILY_LIMIT", "ETA"
]
REASONS: tuple[Reason, ...] = get_args(Reason)
"""In the order in which they are given."""

HEALTH = HealthPolicy()
ROOMY = 10**36
"""More than any amount, where nothing limits one."""

_DEGRADED: frozenset[Reason] = frozenset(("DEGRADED",))
_TOO_MUCH: frozenset[Reason] = frozenset(("ABOVE_MAX", "DAILY_LIMIT"))
"""What refuses the whole amount, and not a part of it."""


class Provider(NamedTuple):
    """Who converts: what it takes, what it takes for it, and how it did; None is no limit."""

    name: str
    priority: int
    status: ProviderStatus
    directions: frozenset[Direction]
    ticket_min: int
    ticket_max: int | None
    daily_max: int | None
    daily_used: int
    tally: Tally
    fee_bps: Decimal
    breaker: Breaker = "closed"
    eta_seconds: int = 0

    @property
    def room(self) -> int:
        """The largest part that it takes now."""
        return min(one for one in (self.ticket_max, self.daily_room, ROOMY) if one is not None)

    @property
    def daily_room(self) -> int | None:
        """What it still takes today."""
        return None if self.daily_max is None else self.daily_max - self.daily_used


class Wish(NamedTuple):
    """What is to be converted; `within_seconds` is when the buffer is empty, None where nothing presses."""

    amount: int
    direction: Direction
    may_be_degraded: bool = False
    may_split: bool = False
    several: bool = False
    cost_counts: bool = False
    within_seconds: int | None = None


class Slice(NamedTuple):
    """What a provider is to convert."""

    provider: str
    amount: int


class Selection(NamedTuple):
    """Who converts what, nobody if that is empty; and why each of the others does not."""

    slices: Sequence[Slice]
    refused: Mapping[str, Reason]


def select(providers: Sequence[Provider], wish: Wish, policy: HealthPolicy = HEALTH) -> Selection:
    """Return who converts an amount; the order of `providers` does not matter."""
    ordered = sorted(providers, key=lambda one: _order(one, wish))
    reasons = {one: refusals(one, wish, policy) for one in ordered}
    strict = _chosen(reasons, wish)
    slices = strict or (
        _chosen({one: those - _DEGRADED for one, those in reasons.items()}, wish) if wish.may_be_degraded else ()
    )
    chosen = {one.provider for one in slices}
    return Selection(
        slices,
        {one.name: min(those, key=REASONS.index) for one, those in reasons.items() if those and one.name not in chosen},
    )


def refusals(one: Provider, wish: Wish, policy: HealthPolicy) -> frozenset[Reason]:
    """Return all reasons why a provider does not convert the whole amount."""
    room = one.daily_room
    applies: Mapping[Reason, bool] = {
        "INACTIVE": one.status == "inactive",
        "BREAKER_OPEN": one.breaker == "open",
        "DEGRADED": one.status == "degraded",
        "UNHEALTHY": not is_healthy(one.tally, policy),
        "DIRECTION": wish.direction not in one.directions,
        "BELOW_MIN": wish.amount < one.ticket_min,
        "ABOVE_MAX": one.ticket_max is not None and wish.amount > one.ticket_max,
        "DAILY_LIMIT": room is not None and wish.amount > room,
        "ETA": wish.within_seconds is not None and one.eta_seconds > wish.within_seconds,
    }
    return frozenset(reason for reason in REASONS if applies[reason])


def _order(one: Provider, wish: Wish) -> tuple[Fraction, int, Fraction, Decimal, str]:
    value = one.tally.rate * (1 - Fraction(one.fee_bps) / BASIS_POINTS) if wish.cost_counts else Fraction(0)
    return -value, one.priority, -one.tally.rate, one.fee_bps, one.name


def _chosen(reasons: Mapping[Provider, frozenset[Reason]], wish: Wish) -> Sequence[Slice]:
    whole = next((one for one, those in reasons.items() if not those), None)
    if whole and not wish.several:
        return (Slice(whole.name, wish.amount),)
    able = [one for one, those in reasons.items() if those <= _TOO_MUCH]
    return _split(wish.amount, able, several=wish.several) if wish.may_split else ()


def _split(amount: int, able: Sequence[Provider], *, several: bool) -> Sequence[Slice]:
    """Return slices that add up to the amount, each within what its provider takes; none if there are no such."""
    if not able:
        return ()
    first, others = able[0], able[1:]
    if first.ticket_min <= amount <= first.room and not several:
        return (Slice(first.name, amount),)
    left_min = next((one.ticket_min for one in others if one.room >= one.ticket_min), amount)
    part = min(first.room, amount - left_min)
    rest = _split(amount - part, others, several=False) if part >= first.ticket_min else ()
    return (Slice(first.name, part), *rest) if rest else _split(amount, others, several=several)
