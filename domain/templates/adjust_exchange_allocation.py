"""Which exchange has to hedge how much of what we owe.

    USD  STABLESATS_LIABILITY   OKEX_ALLOCATION   BITFINEX_ALLOCATION

A positive amount is credited and a negative one debited; what the exchanges take leaves the unallocated liability.
It is its own reversal with the signs turned. Entries of zero, which the reference system posts, are left out.
"""

from domain.ids import content_id, timed_id
from domain.journal import CREDIT, DEBIT, Entry, Transaction
from domain.templates.entries import nonzero, settled

ADJUST_EXCHANGE_ALLOCATION = "ADJUST_EXCHANGE_ALLOCATION"


def _signed(account: str, cents: int) -> Entry:
    return settled(account, "USD", CREDIT if cents >= 0 else DEBIT, abs(cents))


def adjust_exchange_allocation(
    okex_cents: int,
    bitfinex_cents: int = 0,
    *,
    effective_at_ms: int,
    caused_by: str,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Allocate signed cents to the exchanges; `caused_by` is the id of what made it necessary. None if all is zero."""
    entries = nonzero(
        _signed("STABLESATS_LIABILITY", -(okex_cents + bitfinex_cents)),
        _signed("OKEX_ALLOCATION", okex_cents),
        _signed("BITFINEX_ALLOCATION", bitfinex_cents),
    )
    if not entries:
        return None
    return Transaction(
        timed_id(effective_at_ms, ADJUST_EXCHANGE_ALLOCATION, caused_by),
        ADJUST_EXCHANGE_ALLOCATION,
        effective_at_ms,
        entries,
        content_id("allocation", caused_by),
        source,
        source_offset,
        {"caused_by": caused_by},
    )
