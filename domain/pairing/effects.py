"""What the pairing book is told, and what it answers.

Effects are facts to be carried out elsewhere: pairs and their reversals become postings, waiting legs a message per
leg, refusals a message each, and legs that wait too long an alert. `source` and `source_offset` are the coordinates
of the message that brought the effect about.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from domain.pairing.legs import Leg, pairing_key

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
    """A leg as it arrives, with its pairing key. `known` is all that the ledger holds under that, if the book no longer does."""

    leg: Leg
    known: tuple[KnownTrade, ...]
    key: str


def arrival_of(leg: Leg, known: tuple[KnownTrade, ...] = ()) -> Arrival:
    """Return a leg as it arrives, with what is known."""
    return Arrival(leg, known, pairing_key(leg))


class TradePaired(NamedTuple):
    """Two legs belong together: book the trade. `generation` counts how often this very pair was booked before."""

    btc: Leg
    usd: Leg
    generation: int
    key: str
    source: str
    source_offset: int


class TradeUnpaired(NamedTuple):
    """A pair is no longer the best: reverse the booking of this `generation`."""

    btc: Leg
    usd: Leg
    generation: int
    key: str
    source: str
    source_offset: int


class LegWaits(NamedTuple):
    """A leg waits, or (with `paired` and `dropped`) no longer does; `since_ms` is when it began to, in stream time."""

    leg: Leg
    state: WaitState
    since_ms: int
    at_ms: int


class LegRefused(NamedTuple):
    """A well-formed leg that will not be paired as it came."""

    leg_id: str
    reason: RefusalReason
    detail: str
    source: str
    source_offset: int


class LegTooOld(NamedTuple):
    """A person should look: a leg has waited for longer than it should. It still pairs if its partner comes."""

    leg: Leg
    key: str
    since_ms: int
    at_ms: int


Effect = TradePaired | TradeUnpaired | LegWaits | LegRefused | LegTooOld
