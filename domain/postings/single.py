"""From a posting that somebody asked for by name to what is booked: a transfer, a hold, or the end of a hold."""

from domain.ids import content_id
from domain.ledger.journal import Transaction
from domain.messages.ledger import Posting
from domain.streams.records import Record
from domain.templates.holds import capture, hold, void
from domain.templates.transfer import transfer

FOLLOWED = frozenset(("TRANSFER", "HOLD", "CAPTURE", "VOID", "EXPIRE"))
"""The templates of which the one who asked is told that they were posted, too."""


def post_single(record: Record[Posting]) -> Transaction:
    """Book what was asked for; a hold takes from the debited account, as holds on users' balances do."""
    asked, source, offset = record.value, record.source, record.offset
    at_ms = asked.effective_at
    if asked.captures is not None:
        held = _held(asked, asked.captures)
        return capture(asked.key, held, asked.amount, effective_at_ms=at_ms, source=source, source_offset=offset)
    if asked.voids is not None:
        return void(_held(asked, asked.voids), effective_at_ms=at_ms, source=source, source_offset=offset)
    if asked.expires_at is not None:
        return _hold(asked, source, offset)
    return _transfer(asked, source, offset)


def _transfer(asked: Posting, source: str, offset: int) -> Transaction:
    return transfer(
        asked.key,
        asked.debit,
        asked.credit,
        asked.currency,
        asked.amount,
        effective_at_ms=asked.effective_at,
        source=source,
        source_offset=offset,
        memo=asked.memo,
    )


def _hold(asked: Posting, source: str, offset: int) -> Transaction:
    return hold(
        asked.key,
        asked.debit,
        asked.credit,
        asked.currency,
        asked.amount,
        effective_at_ms=asked.effective_at,
        correlation_id=content_id("posting", asked.key),
        source=source,
        source_offset=offset,
        expires_at_ms=asked.expires_at,
        meta={} if asked.memo is None else {"memo": asked.memo},
    )


def _held(asked: Posting, hold_id: str) -> Transaction:
    """The hold as far as its end needs it: its id and its accounts; the ledger knows the rest."""
    return _hold(asked, "", 0)._replace(id=hold_id)
