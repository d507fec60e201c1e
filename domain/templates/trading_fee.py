"""A fee of a fill, or the rebate of one.

    BTC  DR EXCHANGE_TRADING   CR TRADING_FEES

A negative amount goes the other way.
"""

from domain.journal import Transaction
from domain.templates.cash_flow import cash_flow

TRADING_FEE = "TRADING_FEE"


def trading_fee(
    amount_sats: int,
    *,
    effective_at_ms: int,
    venue: str,
    flow_id: str,
    client_id: str | None = None,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Negative when we paid, positive when we were paid."""
    return cash_flow(
        TRADING_FEE,
        "EXCHANGE_TRADING",
        "TRADING_FEES",
        amount_sats,
        effective_at_ms=effective_at_ms,
        venue=venue,
        flow_id=flow_id,
        client_id=client_id,
        source=source,
        source_offset=source_offset,
    )
