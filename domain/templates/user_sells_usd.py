"""A user sells dollars: bitcoin goes out, and we owe fewer dollars.

    BTC  DR STABLESATS_BTC_WALLET   CR EXTERNAL_OMNIBUS
    USD  DR STABLESATS_LIABILITY    CR STABLESATS_OMNIBUS

Its reversal keeps accounts and sides and turns the sign of the amounts, as the reference system does.
"""

from domain.journal import DEBIT, Transaction
from domain.templates.user_trade import Leg, booking

USER_SELLS_USD = "USER_SELLS_USD"
REVERT_USER_SELLS_USD = "REVERT_USER_SELLS_USD"


def user_sells_usd(
    amount_sats: int,
    amount_cents: int,
    *,
    effective_at_ms: int,
    pairing_key: str,
    btc_leg: Leg,
    usd_leg: Leg,
    generation: int = 0,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Book the trade; amounts are absolute. None if both are zero."""
    return booking(
        USER_SELLS_USD,
        DEBIT,
        amount_sats,
        amount_cents,
        effective_at_ms=effective_at_ms,
        pairing_key=pairing_key,
        btc_leg=btc_leg,
        usd_leg=usd_leg,
        generation=generation,
        source=source,
        source_offset=source_offset,
    )


def revert_user_sells_usd(
    amount_sats: int,
    amount_cents: int,
    *,
    reverses: str,
    effective_at_ms: int,
    pairing_key: str,
    btc_leg: Leg,
    usd_leg: Leg,
    generation: int = 0,
    source: str,
    source_offset: int,
) -> Transaction | None:
    """Take back the booking whose id is `reverses`, with the amounts and the generation that it was booked with.

    `effective_at_ms` is when it is taken back, not when it was booked.
    """
    return booking(
        REVERT_USER_SELLS_USD,
        DEBIT,
        -amount_sats,
        -amount_cents,
        effective_at_ms=effective_at_ms,
        pairing_key=pairing_key,
        btc_leg=btc_leg,
        usd_leg=usd_leg,
        generation=generation,
        source=source,
        source_offset=source_offset,
        reverses=reverses,
    )
