"""What the exchange charged for a withdrawal.

    BTC  DR EXCHANGE_FUNDING   CR NETWORK_FEES

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

WITHDRAWAL_FEE = "WITHDRAWAL_FEE"


def withdrawal_fee(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Negative: what was charged."""
    return cash_flow(
        WITHDRAWAL_FEE,
        "EXCHANGE_FUNDING",
        "NETWORK_FEES",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
