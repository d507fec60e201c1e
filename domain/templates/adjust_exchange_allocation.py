"""Which book has to hedge how much of what we owe.

    USD  STABLESATS_LIABILITY   ALLOCATION/book   ALLOCATION/other

A positive amount is credited and a negative one debited; what the books take leaves the unallocated liability. It is its own
reversal with the signs turned. Entries of zero, which the reference system posts, are left out.

Ahead of its flow: books that share a liability will book by it; so far only the reference's cases do.
"""

from collections.abc import Mapping

from domain.ids import content_id, timed_id
from domain.ledger.accounts import account_of
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Transaction
from domain.templates.entries import nonzero, settled

ADJUST_EXCHANGE_ALLOCATION = "ADJUST_EXCHANGE_ALLOCATION"


def _signed(account: str, cents: int) -> Entry:
    return settled(account, "USD", CREDIT if cents >= 0 else DEBIT, abs(cents))


def adjust_exchange_allocation(
    cents_by_book: Mapping[str, int],
    *,
    effective_at_ms: int,
    caused_by: str,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Allocate signed cents to books; `caused_by` is the id of what made it necessary. None if all is zero."""
    entries = nonzero(
        _signed("STABLESATS_LIABILITY", -sum(cents_by_book.values())),
        *(_signed(account_of("ALLOCATION", book), cents) for book, cents in cents_by_book.items()),
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
        meta_text({"caused_by": caused_by}),
    )
