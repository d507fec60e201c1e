"""What the pairing book is told, and what it answers.

Effects are facts to be carried out elsewhere: pairs and their reversals become postings, waiting legs a message per
leg, refusals a message each, and legs that wait too long an alert. `source` and `source_offset` are the coordinates
of the message that brought the effect about.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from domain.pairing.legs import Leg

WaitState = Literal["waiting", "pending", "too_old", "paired", "dropped"]
RefusalReason = Literal["failed", "conflict", "worthless"]


@dataclass(frozen=True, slots=True)
class KnownTrade:
    """What the ledger holds of one pair: `count` is how often it was booked or reversed, so odd means it is live."""

    key: str
    btc: Leg
    usd: Leg
    count: int


class Arrival(NamedTuple):
    """A leg as it arrives. `known` is all that the ledger holds under its pairing key, if the book no longer does; `key` is
    that key, where it is worked out already."""

    leg: Leg
    known: tuple[KnownTrade, ...] = ()
    key: str | None = None


@dataclass(frozen=True, slots=True)
class TradePaired:
    """Two legs belong together: book the trade. `generation` counts how often this very pair was booked before."""

    btc: Leg
    usd: Leg
    generation: int
    key: str
    source: str
    source_offset: int


@dataclass(frozen=True, slots=True)
class TradeUnpaired:
    """A pair is no longer the best: reverse the booking of this `generation`."""

    btc: Leg
    usd: Leg
    generation: int
    key: str
    source: str
    source_offset: int


@dataclass(frozen=True, slots=True)
class LegWaits:
    """A leg waits, or (with `paired` and `dropped`) no longer does; `since_ms` is when it began to, in stream time."""

    leg: Leg
    state: WaitState
    since_ms: int
    at_ms: int


@dataclass(frozen=True, slots=True)
class LegRefused:
    """A well-formed leg that will not be paired as it came."""

    leg_id: str
    reason: RefusalReason
    detail: str
    source: str
    source_offset: int


@dataclass(frozen=True, slots=True)
class LegTooOld:
    """A person should look: a leg has waited for longer than it should. It still pairs if its partner comes."""

    leg: Leg
    key: str
    since_ms: int
    at_ms: int


Effect = TradePaired | TradeUnpaired | LegWaits | LegRefused | LegTooOld
