"""From what an exchange says of our account to what is booked: one function per kind of message.

Each follows from the content of the message, so a replay makes the same postings with the same ids.
"""

from typing import Any

from domain.ledger.journal import Transaction
from domain.messages.venue import CashFlow
from domain.money import CENTS_BY_INSTRUMENT, price_text
from domain.streams.records import Record
from domain.templates.cash_flows import CASH_FLOWS
from domain.templates.exchange_position import (
    SUSPENSE,
    decrease_exchange_position,
    fill_bought,
    fill_sold,
    increase_exchange_position,
)
from domain.venue.fills import Effect, FillExplained, FillHeard


def post_fill(record: Record[Effect]) -> Transaction | None:
    """What was executed goes into suspense, and the mirror of the position takes from there what an order explains."""
    effect = record.value
    if isinstance(effect, FillHeard):
        return (fill_bought if effect.fill.contracts > 0 else fill_sold)(**_facts(effect))
    if isinstance(effect, FillExplained):
        is_bought = effect.heard.fill.contracts > 0
        change = increase_exchange_position if is_bought else decrease_exchange_position
        return change(against=SUSPENSE, **_facts(effect.heard))
    return None


def _facts(heard: FillHeard) -> dict[str, Any]:
    fill, source, offset = heard
    return {
        "cents": abs(fill.contracts) * CENTS_BY_INSTRUMENT[fill.instrument],
        "effective_at_ms": fill.as_of,
        "venue": fill.venue,
        "instrument": fill.instrument,
        "event_id": fill.id,
        "sequence": fill.sequence,
        "client_order_id": fill.client_order_id,
        "price_usd": price_text(fill.price_usd),
        "source": source,
        "source_offset": offset,
    }


def post_cash_flow(record: Record[CashFlow]) -> Transaction | None:
    """A line of the exchange's own history, by its kind."""
    flow = record.value
    return CASH_FLOWS[flow.kind](
        flow.amount_sats,
        effective_at_ms=flow.as_of,
        venue=flow.venue,
        flow_id=flow.id,
        client_id=flow.client_id,
        sequence=flow.sequence,
        source=record.source,
        source_offset=record.offset,
    )
