"""A funding-rate payment between longs and shorts.

    BTC  DR EXCHANGE_TRADING   CR FUNDING_PAYMENTS

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

FUNDING_PAYMENT = "FUNDING_PAYMENT"


def funding_payment(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Positive when we received it."""
    return cash_flow(
        FUNDING_PAYMENT,
        "EXCHANGE_TRADING",
        "FUNDING_PAYMENTS",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
