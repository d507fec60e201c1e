"""From what moves in buffers to what is booked: flows as they are told, conversions as their providers did them.

Each follows from the content of the messages, so a replay makes the same postings with the same ids.
"""

from domain.ledger.journal import Transaction
from domain.messages.treasury import BufferFlow
from domain.streams.records import Record
from domain.templates.buffers import Converted, buffer_flow, conversion
from domain.treasury.conversions import ConversionDone, Effect, amounts_of
from domain.treasury.worth import CURRENCY_OF


def post_flow(record: Record[BufferFlow]) -> Transaction:
    """Book what came into a buffer, or left it."""
    flow = record.value
    return buffer_flow(
        flow.id,
        flow.buffer,
        CURRENCY_OF[flow.buffer],
        flow.amount,
        flow.cause,
        reverts=flow.reverts,
        effective_at_ms=flow.effective_at,
        source=record.source,
        source_offset=record.offset,
    )


def post_conversion(record: Record[Effect]) -> Transaction | None:
    """Book a conversion when its provider has done it, effective when it was; nothing else is booked."""
    done = record.value
    if not isinstance(done, ConversionDone):
        return None
    heard = done.heard
    return conversion(
        converted(done), effective_at_ms=heard.event.as_of, source=heard.source, source_offset=heard.source_offset
    )


def converted(done: ConversionDone) -> Converted:
    """Return what was done in the words of the template."""
    asked, event = done.request, done.heard.event
    taken, given, kept = amounts_of(event)
    return Converted(
        event.provider,
        event.provider_tx_id,
        asked.client_conversion_id,
        asked.job_id,
        asked.source,
        asked.source_currency,
        taken,
        asked.destination,
        asked.destination_currency,
        given,
        kept,
    )
