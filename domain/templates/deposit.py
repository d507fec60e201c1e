"""Bitcoin from our wallet arrived at the exchange.

    BTC  DR EXCHANGE_FUNDING   CR TREASURY_WALLET

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

DEPOSIT = "DEPOSIT"


def deposit(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Positive: what arrived."""
    return cash_flow(
        DEPOSIT,
        "EXCHANGE_FUNDING",
        "TREASURY_WALLET",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
