"""Collateral moved between the exchange's two pockets.

    BTC  DR EXCHANGE_TRADING   CR EXCHANGE_FUNDING

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

COLLATERAL_MOVED = "COLLATERAL_MOVED"


def collateral_moved(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Positive from funding to trading, negative back."""
    return cash_flow(
        COLLATERAL_MOVED,
        "EXCHANGE_TRADING",
        "EXCHANGE_FUNDING",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
