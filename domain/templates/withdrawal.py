"""Bitcoin left the exchange for our wallet.

    BTC  DR EXCHANGE_FUNDING   CR TREASURY_WALLET

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

WITHDRAWAL = "WITHDRAWAL"


def withdrawal(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Negative: what left the exchange."""
    return cash_flow(
        WITHDRAWAL,
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
