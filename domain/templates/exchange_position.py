"""The mirror of what we hold on an exchange: POSITION/venue follows the position that the exchange reports.

    FILL_BOUGHT                  USD  CR POSITION_SUSPENSE/venue   DR EXCHANGE_POSITION_OMNIBUS
    FILL_SOLD                    USD  DR POSITION_SUSPENSE/venue   CR EXCHANGE_POSITION_OMNIBUS
    INCREASE_EXCHANGE_POSITION   USD  CR POSITION/venue   DR POSITION_SUSPENSE/venue (a fill), or EXCHANGE_POSITION_OMNIBUS
    DECREASE_EXCHANGE_POSITION   USD  DR POSITION/venue   CR POSITION_SUSPENSE/venue (a fill), or EXCHANGE_POSITION_OMNIBUS

A fill is booked twice: that it was executed, when it is heard of, and that it is ours, when an order explains it. What nobody
ordered stays in suspense. All are named for the *signed* exposure, which is negative when short: a growing short is a
decrease, and makes the debit-normal balance larger. The two of each pair take back what the other did. The venue and its name
for the event, such as the id of a fill, name the posting, whatever time or sequence are told with them. The reference system
mirrors against the omnibus account, and also posts a zero to be heard of; an entry may not be zero here, and whoever needs a
heartbeat listens to the positions themselves.
"""

from collections.abc import Callable
from functools import partial

from domain.ids import content_id, timeless_id
from domain.ledger.accounts import account_of, at_venue
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Transaction
from domain.templates.entries import nonzero, settled

OMNIBUS = "EXCHANGE_POSITION_OMNIBUS"
SUSPENSE = "POSITION_SUSPENSE"
FILL_BOUGHT = "FILL_BOUGHT"
FILL_SOLD = "FILL_SOLD"
INCREASE_EXCHANGE_POSITION = "INCREASE_EXCHANGE_POSITION"
DECREASE_EXCHANGE_POSITION = "DECREASE_EXCHANGE_POSITION"


def fill_id(venue: str, event_id: str) -> str:
    """Return the id of the posting that says that a fill was executed."""
    return timeless_id("FILL", venue, event_id)


def position_id(venue: str, event_id: str) -> str:
    """Return the id of the posting by which the position moves."""
    return timeless_id("EXCHANGE_POSITION", venue, event_id)


def _adjustment(
    template: str,
    id_of: Callable[[str, str], str],
    side: int,
    moved: str,
    cents: int,
    *,
    against: str = OMNIBUS,
    effective_at_ms: int,
    venue: str,
    instrument: str,
    event_id: str,
    sequence: int,
    client_order_id: str | None = None,
    price_usd: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Move an account by `cents` against another one; None if they are zero. Order and price are kept, so that a word with
    others is a conflict."""
    entries = nonzero(
        settled(account_of(moved, venue), "USD", side, cents),
        settled(at_venue(against, venue), "USD", -side, cents),
    )
    if not entries:
        return None
    return Transaction(
        id_of(venue, event_id),
        template,
        effective_at_ms,
        entries,
        content_id("position", venue, instrument),
        source,
        source_offset,
        meta_text(
            {
                "client_order_id": client_order_id,
                "event_id": event_id,
                "instrument": instrument,
                "price_usd": price_usd,
                "sequence": sequence,
                "venue": venue,
            }
        ),
    )


fill_bought = partial(_adjustment, FILL_BOUGHT, fill_id, CREDIT, SUSPENSE)
"""Contracts worth so many cents were bought; whose they are is another matter."""

fill_sold = partial(_adjustment, FILL_SOLD, fill_id, DEBIT, SUSPENSE)
"""Contracts worth so many cents were sold."""

increase_exchange_position = partial(_adjustment, INCREASE_EXCHANGE_POSITION, position_id, CREDIT, "POSITION")
"""The signed exposure grew by so many cents: less short, or longer."""

decrease_exchange_position = partial(_adjustment, DECREASE_EXCHANGE_POSITION, position_id, DEBIT, "POSITION")
"""The signed exposure shrank by so many cents: more short, or less long."""


def mirror_position(
    posted_exposure_cents: int,
    exposure_cents: int,
    *,
    effective_at_ms: int,
    venue: str,
    instrument: str,
    sequence: int,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """What makes the books agree with the exchange; None if they do.

    Both exposures are signed cents, negative when short; the posted one is what POSITION/venue says: its credits
    less its debits. `sequence` is that of the position event at the exchange.
    """
    grown = exposure_cents - posted_exposure_cents
    adjust = increase_exchange_position if grown > 0 else decrease_exchange_position
    return adjust(
        abs(grown),
        effective_at_ms=effective_at_ms,
        venue=venue,
        instrument=instrument,
        event_id=f"{instrument}@{sequence}",
        sequence=sequence,
        source=source,
        source_offset=source_offset,
    )
