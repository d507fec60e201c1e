"""A user accepted a quote to buy dollars, or to sell them.

    BUY_USD_QUOTE_ACCEPTED    BTC  DR QUOTES_ASSETS        CR QUOTES_OMNIBUS
                              USD  CR QUOTES_LIABILITIES   DR QUOTES_OMNIBUS
    SELL_USD_QUOTE_ACCEPTED   the same accounts on the other side

Quotes have accounts of their own: an accepted quote does not move the hedge target, the user's later trade does. Buying and
selling the same amounts cancel each other, so each is the other's reversal.

Ahead of its flow: quotes will book by it; so far only the reference's cases do.
"""

from functools import partial

from domain.ids import content_id, timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Transaction
from domain.templates.entries import nonzero, settled

BUY_USD_QUOTE_ACCEPTED = "BUY_USD_QUOTE_ACCEPTED"
SELL_USD_QUOTE_ACCEPTED = "SELL_USD_QUOTE_ACCEPTED"


def _quote_accepted(
    template: str,
    side: int,
    amount_sats: int,
    amount_cents: int,
    *,
    effective_at_ms: int,
    quote_id: str,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Book the quote; `effective_at_ms` is when it was accepted. None if both amounts are zero."""
    entries = nonzero(
        settled("QUOTES_ASSETS", "BTC", -side, amount_sats),
        settled("QUOTES_OMNIBUS", "BTC", side, amount_sats),
        settled("QUOTES_LIABILITIES", "USD", side, amount_cents),
        settled("QUOTES_OMNIBUS", "USD", -side, amount_cents),
    )
    if not entries:
        return None
    return Transaction(
        timeless_id(template, quote_id),
        template,
        effective_at_ms,
        entries,
        content_id("quote", quote_id),
        source,
        source_offset,
        meta_text({"quote_id": quote_id}),
    )


buy_usd_quote_accepted = partial(_quote_accepted, BUY_USD_QUOTE_ACCEPTED, CREDIT)
sell_usd_quote_accepted = partial(_quote_accepted, SELL_USD_QUOTE_ACCEPTED, DEBIT)
