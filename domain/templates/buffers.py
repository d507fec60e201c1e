"""Buffers: what customers and we bring into them or take out, and what conversions move between them.

    BUFFER_FLOW        CUR   DR buffer            CR CUSTOMER_FUNDS      a deposit; a withdrawal goes the other way
                       CUR   DR buffer            CR TREASURY_CAPITAL    funding of our own
    CONVERSION         CUR1  DR FX_CLEARING       CR source              what the provider took
                       CUR2  DR destination       CR FX_CLEARING         what arrived
                       CUR2  DR CONVERSION_FEES   CR FX_CLEARING         what the provider kept
    BUFFER_TRANSFER    CUR   DR destination       CR source              where both are of one currency
                       CUR   DR CONVERSION_FEES   CR source

FX_CLEARING has a balance per currency, so each currency balances by itself; both of its balances together are the open
position, equal and opposite at par, and at any other rate they leave a difference that can be valued. The fee stands on a
leg of its own. A conversion is named by what the provider calls it, so however often it is told it is booked once.
Each has its reversal beside it, which names what it takes back. Source: the treasury's document §2.5, cases JOB-01, 02.
"""

from typing import NamedTuple

from domain.ids import content_id, timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Transaction, reversal_of
from domain.templates.entries import moved, nonzero, settled

BUFFER_FLOW, REVERT_BUFFER_FLOW = "BUFFER_FLOW", "REVERT_BUFFER_FLOW"
CONVERSION, REVERT_CONVERSION = "CONVERSION", "REVERT_CONVERSION"
BUFFER_TRANSFER, REVERT_BUFFER_TRANSFER = "BUFFER_TRANSFER", "REVERT_BUFFER_TRANSFER"
CLEARING, FEES = "FX_CLEARING", "CONVERSION_FEES"

AGAINST = {"deposit": "CUSTOMER_FUNDS", "withdrawal": "CUSTOMER_FUNDS", "funding": "TREASURY_CAPITAL"}
"""What stands against a flow, by its cause."""


def account_of_buffer(buffer: str) -> str:
    """Return the account of a buffer."""
    return buffer.upper()


def flow_id(name: str) -> str:
    """Return the id of the posting of a flow."""
    return timeless_id(BUFFER_FLOW, name)


def buffer_flow(
    name: str,
    buffer: str,
    currency: str,
    amount: int,
    cause: str,
    *,
    reverts: str | None,
    effective_at_ms: int,
    source: str,
    source_offset: int,
) -> Transaction:
    """Book what came into a buffer, or left it with a minus; one that reverts another takes that one back."""
    template = BUFFER_FLOW if reverts is None else REVERT_BUFFER_FLOW
    return Transaction(
        timeless_id(template, name),
        template,
        effective_at_ms,
        moved(currency, account_of_buffer(buffer), AGAINST[cause], amount),
        content_id("buffer_flow", reverts or name),
        source,
        source_offset,
        meta_text({"buffer": buffer, "cause": cause, "flow": name, "reverts": reverts}),
        None if reverts is None else reversal_of(flow_id(reverts)),
    )


class Converted(NamedTuple):
    """What a provider did: it took `source_amount` out of one buffer, put `destination_amount` into another and kept `fee`.

    Amounts are in minor units of the source's currency, and of the destination's for what arrived and for the fee.
    """

    provider: str
    provider_tx_id: str
    client_conversion_id: str
    job_id: str
    source: str
    source_currency: str
    source_amount: int
    destination: str
    destination_currency: str
    destination_amount: int
    fee: int


def conversion_id(done: Converted) -> str:
    """Return the id of the posting of a conversion: its provider's name for it, whoever told it and however often."""
    currencies = done.source_currency, done.destination_currency
    return booked_id(*currencies, done.provider, done.client_conversion_id, done.provider_tx_id)


def booked_id(source_currency: str, destination_currency: str, provider: str, client_id: str, provider_tx_id: str) -> str:
    """Return the id that a conversion is booked under, known once its provider has named it, before it is carried out."""
    template = CONVERSION if source_currency != destination_currency else BUFFER_TRANSFER
    return timeless_id(template, provider, client_id, provider_tx_id)


def conversion(done: Converted, *, effective_at_ms: int, source: str, source_offset: int) -> Transaction:
    """Book what a provider converted, or moved between two buffers of one currency."""
    is_transfer = done.source_currency == done.destination_currency
    return Transaction(
        conversion_id(done),
        BUFFER_TRANSFER if is_transfer else CONVERSION,
        effective_at_ms,
        _transfer(done) if is_transfer else _exchange(done),
        content_id("job", done.job_id),
        source,
        source_offset,
        meta_text(
            {
                "client_id": done.client_conversion_id,
                "job_id": done.job_id,
                "provider": done.provider,
                "provider_tx_id": done.provider_tx_id,
            }
        ),
    )


def revert_conversion(done: Converted, why: str, *, effective_at_ms: int, source: str, source_offset: int) -> Transaction:
    """Take a conversion back: the mirror of what was booked, which it names."""
    booked = conversion(done, effective_at_ms=effective_at_ms, source=source, source_offset=source_offset)
    template = REVERT_CONVERSION if booked.template == CONVERSION else REVERT_BUFFER_TRANSFER
    return booked._replace(
        id=timeless_id(template, booked.id),
        template=template,
        entries=tuple([entry._replace(side=-entry.side) for entry in booked.entries]),
        meta=meta_text({"job_id": done.job_id, "provider": done.provider, "reason": why}),
        cause=reversal_of(booked.id),
    )


def _exchange(done: Converted) -> tuple[Entry, ...]:
    return nonzero(
        settled(account_of_buffer(done.source), done.source_currency, CREDIT, done.source_amount),
        settled(CLEARING, done.source_currency, DEBIT, done.source_amount),
        settled(CLEARING, done.destination_currency, CREDIT, done.destination_amount + done.fee),
        settled(account_of_buffer(done.destination), done.destination_currency, DEBIT, done.destination_amount),
        settled(FEES, done.destination_currency, DEBIT, done.fee),
    )


def _transfer(done: Converted) -> tuple[Entry, ...]:
    return nonzero(
        settled(account_of_buffer(done.source), done.source_currency, CREDIT, done.destination_amount + done.fee),
        settled(account_of_buffer(done.destination), done.destination_currency, DEBIT, done.destination_amount),
        settled(FEES, done.destination_currency, DEBIT, done.fee),
    )
