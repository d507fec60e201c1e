"""The mirror of what we hold on an exchange: OKEX_POSITION follows the position that the exchange reports.

    INCREASE_EXCHANGE_POSITION   USD  CR OKEX_POSITION   DR EXCHANGE_POSITION_OMNIBUS
    DECREASE_EXCHANGE_POSITION   USD  DR OKEX_POSITION   CR EXCHANGE_POSITION_OMNIBUS

Both are named for the *signed* exposure, which is negative when short: a growing short is a decrease, and makes the
debit-normal balance larger. Each takes back what the other did. The reference system also posts a zero to be heard of;
an entry may not be zero here, and whoever needs a heartbeat listens to the positions themselves.
"""

from functools import partial

from domain.ids import content_id, timed_id
from domain.journal import CREDIT, DEBIT, Transaction
from domain.templates.entries import nonzero, settled

INCREASE_EXCHANGE_POSITION = "INCREASE_EXCHANGE_POSITION"
DECREASE_EXCHANGE_POSITION = "DECREASE_EXCHANGE_POSITION"


def _adjustment(
    template: str,
    side: int,
    cents: int,
    *,
    effective_at_ms: int,
    venue: str,
    instrument: str,
    sequence: int,
    source: str,
    source_offset: int,
) -> Transaction | None:
    entries = nonzero(
        settled("OKEX_POSITION", "USD", side, cents), settled("EXCHANGE_POSITION_OMNIBUS", "USD", -side, cents)
    )
    if not entries:
        return None
    return Transaction(
        timed_id(effective_at_ms, template, venue, instrument, str(sequence)),
        template,
        effective_at_ms,
        entries,
        content_id("position", venue, instrument),
        source,
        source_offset,
        {"instrument": instrument, "sequence": sequence, "venue": venue},
    )


increase_exchange_position = partial(_adjustment, INCREASE_EXCHANGE_POSITION, CREDIT)
"""The signed exposure grew by so many cents: less short, or longer."""

decrease_exchange_position = partial(_adjustment, DECREASE_EXCHANGE_POSITION, DEBIT)
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

    Both exposures are signed cents, negative when short; the posted one is what OKEX_POSITION says: its credits less
    its debits. `sequence` is that of the position event at the exchange.
    """
    grown = exposure_cents - posted_exposure_cents
    adjust = increase_exchange_position if grown > 0 else decrease_exchange_position
    return adjust(
        abs(grown),
        effective_at_ms=effective_at_ms,
        venue=venue,
        instrument=instrument,
        sequence=sequence,
        source=source,
        source_offset=source_offset,
    )
