"""Limits: what a decision may ask for at most, which price it may rest on, and how patient it is after a refusal.

A message that is well formed may still be wrong, and one wrong price must not move all that there is. So a price counts only
while it is near what the venue itself marks positions at, or, of a venue that does not say, near the usual price of the last
minute, to which a single word adds little. Bitcoin that leaves or enters our wallet is bounded per transfer and per day, and
what was refused is tried again after pauses that double.

All of it is policy: a decision that was cut or held names the limit.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from statistics import median
from typing import Annotated, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from domain.hedging.actions import Deposit, FundingAction, FundingToTrading, Hold, TradingToFunding, Withdraw
from domain.messages.fields import DecimalText
from domain.money import MONEY
from domain.venue.fills import UNEXPLAINED_MS

PRICE_INTERVAL_MS = 1_000
"""Of a busy market one price a second is remembered."""
PRICES_MIN = 3
"""Of fewer prices nobody can say which one is odd."""
PAUSE_DOUBLINGS_MAX = 30

Transfer = Deposit | Withdraw | FundingToTrading | TradingToFunding
Share = Annotated[DecimalText, Field(gt=0, le=1)]


class Limits(BaseModel):
    """How much one transfer, one day and one price may do, and how long a refusal is waited out."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    transfer_sats_max: PositiveInt = Field(5_000_000_000, description="no transfer is larger (50 BTC)")
    day_sats_max: PositiveInt = Field(
        20_000_000_000, description="so much is deposited and withdrawn in a UTC day at most (200 BTC)"
    )
    withdrawal_share_max: Share = Field(
        Decimal(1), description="of what lies at the venue, one withdrawal takes at most this"
    )
    price_mark_gap_max: Share = Field(Decimal("0.05"), description="a price is this near the venue's mark, as a share of it")
    price_jump_max: Share = Field(
        Decimal("0.10"), description="where the venue says no mark: this near the median of the window"
    )
    price_window_ms: PositiveInt = 60_000
    position_doubt_ms: NonNegativeInt = Field(
        UNEXPLAINED_MS, description="a position that no order of ours explains is believed when it is said for so long"
    )
    refused_pause_min_ms: NonNegativeInt = Field(1_000, description="after a refusal; each further one doubles it")
    refused_pause_max_ms: NonNegativeInt = 60_000


class Seen(NamedTuple):
    """A price that was heard at an instant of stream time, in cents for one bitcoin."""

    at_ms: int
    price_cents: Decimal


def with_price(window: Sequence[Seen], seen: Seen, limits: Limits) -> tuple[Seen, ...]:
    """Return the window with one price more, unless one was seen within a second, and without those that are too old."""
    kept = tuple([one for one in window if seen.at_ms - one.at_ms <= limits.price_window_ms])
    return kept if kept and seen.at_ms - kept[-1].at_ms < PRICE_INTERVAL_MS else (*kept, seen)


def usual_cents(window: Sequence[Seen]) -> Decimal | None:
    """Return the median price of a window, None of too few."""
    return median(sorted(one.price_cents for one in window)) if len(window) >= PRICES_MIN else None


def price_doubt(
    price_cents: Decimal, mark_cents: Decimal | None, usual_price_cents: Decimal | None, limits: Limits
) -> Hold | None:
    """Hold if the price is far from the venue's mark, or of a venue that says none, from the usual price."""
    if mark_cents is not None:
        return _far(price_cents, mark_cents, limits.price_mark_gap_max, "price_off_mark", "the venue's mark")
    if usual_price_cents is not None:
        return _far(price_cents, usual_price_cents, limits.price_jump_max, "price_jump", "the usual one of its window")
    return None


def _far(price_cents: Decimal, other_cents: Decimal, share_max: Decimal, rule: str, what: str) -> Hold | None:
    with localcontext(MONEY):
        if abs(price_cents - other_cents) <= other_cents * share_max:
            return None
        return Hold(rule, f"the price {price_cents / 100} is more than {share_max * 100} % from {what}, {other_cents / 100}")


def cut_transfer(wanted: Transfer, at_venue_sats: int, moved_today_sats: int, limits: Limits) -> FundingAction:
    """Return the transfer within its limits, or hold when the day has none left; the rest follows at later decisions."""
    bounds = [(limits.transfer_sats_max, "transfer_sats_max")]
    if isinstance(wanted, Withdraw):
        bounds.append((int(max(0, at_venue_sats) * limits.withdrawal_share_max), "withdrawal_share_max"))
    if isinstance(wanted, Deposit | Withdraw):
        bounds.append((max(0, limits.day_sats_max - moved_today_sats), "day_sats_max"))
    most_sats, name = min(bounds)
    if wanted.amount_sats <= most_sats:
        return wanted
    if most_sats == 0:
        return Hold(f"limit_{name}", f"{name} leaves nothing for today or here: {wanted.reason}")
    reason = f"{wanted.reason}; {most_sats} of {wanted.amount_sats} sats by {name}"
    return replace(wanted, amount_sats=most_sats, reason=reason)


def pause_ms(refusals: int, limits: Limits) -> int:
    """Return how long to wait after so many refusals in a row: nothing after none, then twice as long each time."""
    if refusals == 0:
        return 0
    doubled: int = limits.refused_pause_min_ms << min(refusals - 1, PAUSE_DOUBLINGS_MAX)
    return min(limits.refused_pause_max_ms, doubled)
