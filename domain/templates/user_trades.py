"""User trades: bitcoin against dollars, and what we owe.

    USER_BUYS_USD    BTC  CR STABLESATS_BTC_WALLET   DR EXTERNAL_OMNIBUS
                     USD  CR STABLESATS_LIABILITY    DR STABLESATS_OMNIBUS
    USER_SELLS_USD   the same accounts on the other side

Each has its reversal beside it, which keeps accounts and sides and turns the sign of the amounts, as the reference system does.
A trade is taken back when a late leg shows that it was paired wrongly, and the same pair may later be booked once more;
`generation` counts those, so each booking has an id of its own while a repeat of the same one has the same. The metadata keeps
both legs whole: pairing can be taken up again from the ledger alone.
"""

from functools import partial

from domain.ids import content_id, timed_id
from domain.ledger.body import canonical
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction, reversal_of
from domain.templates.entries import nonzero

USER_BUYS_USD = "USER_BUYS_USD"
USER_SELLS_USD = "USER_SELLS_USD"
REVERT_USER_BUYS_USD = "REVERT_USER_BUYS_USD"
REVERT_USER_SELLS_USD = "REVERT_USER_SELLS_USD"

_SETTLED = Layer.SETTLED
Leg = tuple[str, str]
"""The id of a leg, and all of it as canonical JSON."""


def trade_id(template: str, effective_at_ms: int, btc_leg_id: str, usd_leg_id: str, generation: int = 0) -> str:
    """The id of this booking of this pair: what its reversal names in `reverses`."""
    return timed_id(effective_at_ms, template, btc_leg_id, usd_leg_id, str(generation))


def trade_correlation(pairing_key: str) -> str:
    """What joins all bookings and reversals of legs that could be paired with each other."""
    return content_id("trade", pairing_key)


def _trade(
    template: str,
    side: int,
    sign: int,
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
    reverses: str | None = None,
) -> Transaction | None:
    """Wallet and liability on `side`, their counter accounts on the other; None if both amounts are zero.

    Amounts are absolute. A reversal names in `reverses` the booking that it takes back, with the amounts and the generation
    that it was booked with; its `effective_at_ms` is its own.
    """
    entries = _entries(side, sign * amount_sats, sign * amount_cents)
    if not entries:
        return None
    return Transaction(
        trade_id(template, effective_at_ms, btc_leg[0], usd_leg[0], generation),
        template,
        effective_at_ms,
        entries,
        trade_correlation(pairing_key),
        source,
        source_offset,
        canonical(f'{{"btc_leg":{btc_leg[1]},"generation":{generation},"usd_leg":{usd_leg[1]}}}'),
        reversal_of(reverses) if reverses else None,
    )


def _entries(side: int, sats: int, cents: int) -> tuple[Entry, ...]:
    # The most frequent entries there are: by its constructor each would take three times as long.
    new = tuple.__new__
    entries = (
        new(Entry, ("STABLESATS_BTC_WALLET", "BTC", _SETTLED, side, sats)),
        new(Entry, ("EXTERNAL_OMNIBUS", "BTC", _SETTLED, -side, sats)),
        new(Entry, ("STABLESATS_LIABILITY", "USD", _SETTLED, side, cents)),
        new(Entry, ("STABLESATS_OMNIBUS", "USD", _SETTLED, -side, cents)),
    )
    return entries if sats and cents else nonzero(*entries)


user_buys_usd = partial(_trade, USER_BUYS_USD, CREDIT, 1)
user_sells_usd = partial(_trade, USER_SELLS_USD, DEBIT, 1)
revert_user_buys_usd = partial(_trade, REVERT_USER_BUYS_USD, CREDIT, -1)
revert_user_sells_usd = partial(_trade, REVERT_USER_SELLS_USD, DEBIT, -1)
