"""Arithmetic on money: one decimal context, and every rounding under a name of its own.

Amounts are integers in minor units: cents of a US dollar, satoshis of a bitcoin. Prices and ratios are `Decimal`, and
what is computed from them is computed in `MONEY`: 28 significant digits, half to even, as the reference system's
decimals do (rust_decimal: 96 bits of mantissa, a scale of at most 28). Nothing here depends on the context of the
thread.

Rounding: to the nearest whole number with halves to even, except that bitcoin that leaves a trading account is
floored, so that never more leaves than is there.
"""

import re
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow

SATS_PER_BTC = 100_000_000
CENTS_PER_CONTRACT = 10_000
"""One contract of the hedge instrument is 100 US dollars."""

DECIMALS = {"BTC": 8, "USD": 2, "USDC": 6}
"""How many digits of an amount in minor units stand behind the point when it is told in whole ones; of others nobody knows."""

CENTS_BY_INSTRUMENT = {"BTC-USD-SWAP": CENTS_PER_CONTRACT}
"""What one contract is worth, of the instruments of which that is known."""

MONEY = Context(
    prec=28,
    rounding=ROUND_HALF_EVEN,
    Emin=-999_999,
    Emax=999_999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[DivisionByZero, InvalidOperation, Overflow],
)
"""Use it with `localcontext(MONEY)`, which works on a copy."""

_ONE = Decimal(1)
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")


def round_half_even(value: Decimal) -> int:
    """The nearest whole number; a half goes to the even one: 0.5 to 0, 1.5 to 2, 2.5 to 2."""
    return int(value.to_integral_value(rounding=ROUND_HALF_EVEN))


def floor(value: Decimal) -> int:
    """The largest whole number that is not more than `value`."""
    return int(value.to_integral_value(rounding=ROUND_FLOOR))


def round_sats(btc: Decimal) -> int:
    """Satoshis of an amount in bitcoin that goes in: half to even."""
    return round_half_even(btc.scaleb(8, MONEY))


def floor_sats(btc: Decimal) -> int:
    """Satoshis of an amount in bitcoin that comes out: floored."""
    return floor(btc.scaleb(8, MONEY))


def btc_from_sats(sats: int) -> Decimal:
    """An amount in bitcoin, exact up to 28 digits."""
    return Decimal(sats).scaleb(-8, MONEY)


def price_text(price: Decimal) -> str:
    """Return the one text that prices of the same worth share: without an exponent, without zeros at its end."""
    return format(price.normalize(MONEY), "f")


def round_contracts(cents: Decimal) -> int:
    """Whole contracts of an amount in cents, half to even; the sign is kept."""
    return round_half_even(cents.scaleb(-4, MONEY))


def round_contract_cents(cents: Decimal) -> int:
    """An amount in cents, rounded to what whole contracts are worth."""
    return round_contracts(cents) * CENTS_PER_CONTRACT


def cents_per_unit(base: int, offset: int) -> Decimal:
    """A price on the wire, `base` of ten to the minus `offset`, in cents for one minor unit."""
    return Decimal(base).scaleb(-offset, MONEY)


def worth_cents(amount: int, price_cents_per_unit: Decimal) -> int:
    """What `amount` minor units are worth in cents, half to even; the sign is kept."""
    if price_cents_per_unit == _ONE:
        return amount
    return round_half_even(MONEY.multiply(Decimal(amount), price_cents_per_unit))


def is_amount(value: Decimal) -> bool:
    """Whether one can calculate with it: a number, and not one of more than sixty digits."""
    return value.is_finite() and value.adjusted() < 60


def is_price(value: Decimal) -> bool:
    """Whether one can divide by it and believe the result: positive, with at most twenty digits on either side."""
    return value.is_finite() and value > 0 and -20 <= value.adjusted() < 20


def decimal_from_text(text: str) -> Decimal | None:
    """The number that `text` spells in plain digits, or None; an exponent, a blank or `NaN` is no number here."""
    return Decimal(text) if _NUMBER.fullmatch(text) else None


def plain(value: Decimal) -> str:
    """A decimal as a person writes it: no exponent, no zeros at the end, no minus before zero."""
    return format(value.normalize(MONEY), "f") if value else "0"
