"""Exchanges of one currency for another, at a rate that was agreed.

    sold     CUR1  DR payer           CR FX_POSITION
    bought   CUR2  DR FX_POSITION     CR receiver        what the rate gives, rounded down, as the customer gets it
             CUR2  DR FX_POSITION     CR ROUNDING        the rest of the unit, where the position moves by half-even

FX_POSITION has a balance per currency: what it holds in each is our open position, and at today's rates its worth is the
profit or loss of exchanging. No amount of one currency stands against one of another, so each balances by itself. The
rate stays with the transaction.

Ahead of its flow: wallets will book by it.
"""

from collections.abc import Mapping
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Decimal, localcontext

from domain.ids import timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Layer, Transaction
from domain.templates.entries import nonzero

CURRENCY_EXCHANGE = "CURRENCY_EXCHANGE"
FX_POSITION, ROUNDING = "FX_POSITION", "ROUNDING"

_SETTLED = Layer.SETTLED
_DIGITS = 80
"""Enough for 38 digits of money times any rate that a person writes down, without rounding on the way."""


def currency_exchange(
    key: str,
    payer: str,
    receiver: str,
    sold: tuple[str, int],
    bought_currency: str,
    rate: Decimal,
    *,
    effective_at_ms: int,
    correlation_id: str,
    source: str,
    source_offset: int,
    meta: Mapping[str, object] | None = None,
) -> Transaction | None:
    """Sell an amount of one currency for another; `rate` is minor units bought per minor unit sold.

    None if the amount buys nothing.
    """
    sold_currency, amount_sold = sold
    with localcontext(prec=_DIGITS):
        exact = amount_sold * rate
        moved, paid_out = int(exact.to_integral_value(ROUND_HALF_EVEN)), int(exact.to_integral_value(ROUND_FLOOR))
    if paid_out <= 0:
        return None
    entries = nonzero(
        Entry(payer, sold_currency, _SETTLED, DEBIT, amount_sold),
        Entry(FX_POSITION, sold_currency, _SETTLED, CREDIT, amount_sold),
        Entry(FX_POSITION, bought_currency, _SETTLED, DEBIT, moved),
        Entry(receiver, bought_currency, _SETTLED, CREDIT, paid_out),
        Entry(ROUNDING, bought_currency, _SETTLED, CREDIT, moved - paid_out),
    )
    return Transaction(
        timeless_id(CURRENCY_EXCHANGE, key),
        CURRENCY_EXCHANGE,
        effective_at_ms,
        entries,
        correlation_id,
        source,
        source_offset,
        meta_text({**(meta or {}), "rate": str(rate)}),
    )
