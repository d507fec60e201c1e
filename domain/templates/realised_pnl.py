"""Profit or loss that a fill made real.

    BTC  DR EXCHANGE_TRADING   CR TRADING_PNL

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

REALISED_PNL = "REALISED_PNL"


def realised_pnl(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Positive is profit."""
    return cash_flow(
        REALISED_PNL,
        "EXCHANGE_TRADING",
        "TRADING_PNL",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
