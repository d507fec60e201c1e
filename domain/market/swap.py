"""The arithmetic of an inverse perpetual swap: dollars of exposure, settled in satoshis.

One contract is worth 100 US dollars whatever the price, so its worth in satoshis is 100 / price. A long position
gains when that worth falls, a short one when it grows: profit and loss is the difference of two worths, `contracts *
100 * (1 / entry - 1 / exit)` bitcoin for a long position. A position is therefore kept as its contracts and what they
were worth when they were opened; the average entry price follows from the two and is only ever shown.

Every rounding goes against the holder of the position, by less than one satoshi each time: a short position opens at a
worth rounded up and closes at one rounded down, a long position the other way round, fees and margins are rounded up.
Source of the contract's terms: OKX instrument BTC-USD-SWAP, contract value 100 USD, settled in BTC.
"""

from decimal import Context, Decimal
from typing import NamedTuple

CONTRACT_USD = 100
CONTRACT_CENTS = 10_000
SATS_PER_BTC = 100_000_000
PPM = 1_000_000

_SHOWN = Context(prec=28)
_CENT = Decimal("0.01")


class Holding(NamedTuple):
    """A net position: signed contracts, negative when short, and what they were worth at entry, in satoshis."""

    contracts: int
    entry_sats: int


FLAT = Holding(0, 0)


def worth_sats_down(contracts: int, price_usd: Decimal) -> int:
    """What so many contracts are worth in satoshis, rounded down; the sign of `contracts` does not matter."""
    numerator, denominator = price_usd.as_integer_ratio()
    return abs(contracts) * CONTRACT_USD * SATS_PER_BTC * denominator // numerator


def worth_sats_up(contracts: int, price_usd: Decimal) -> int:
    """What so many contracts are worth in satoshis, rounded up."""
    numerator, denominator = price_usd.as_integer_ratio()
    return -(-abs(contracts) * CONTRACT_USD * SATS_PER_BTC * denominator // numerator)


def share_up(amount_sats: int, ppm: int) -> int:
    """`ppm` parts per million of an amount, rounded up: a fee or a maintenance margin."""
    return -(-amount_sats * ppm // PPM)


def margin_sats(contracts: int, price_usd: Decimal, leverage: int) -> int:
    """The collateral that a position of this size ties up at a leverage, rounded up."""
    return -(-worth_sats_up(contracts, price_usd) // leverage)


def _entry_sats(contracts: int, price_usd: Decimal) -> int:
    return worth_sats_up(contracts, price_usd) if contracts < 0 else worth_sats_down(contracts, price_usd)


def _exit_sats(contracts: int, price_usd: Decimal) -> int:
    return worth_sats_down(contracts, price_usd) if contracts < 0 else worth_sats_up(contracts, price_usd)


def _profit(contracts: int, entry_sats: int, price_usd: Decimal) -> int:
    exit_sats = _exit_sats(contracts, price_usd)
    return exit_sats - entry_sats if contracts < 0 else entry_sats - exit_sats


def unrealised_sats(holding: Holding, price_usd: Decimal) -> int:
    """Profit, negative when a loss, if the whole position were closed at this price, in satoshis."""
    return _profit(holding.contracts, holding.entry_sats, price_usd)


def trade(holding: Holding, contracts: int, price_usd: Decimal) -> tuple[Holding, int]:
    """Buy (positive) or sell (negative) so many contracts; return the new position and the realised profit in satoshis.

    A trade against the position closes it first, in part or whole, and opens the rest on the other side.
    """
    if holding.contracts * contracts >= 0:
        return Holding(holding.contracts + contracts, holding.entry_sats + _entry_sats(contracts, price_usd)), 0
    closed = min(abs(contracts), abs(holding.contracts))
    closed = closed if holding.contracts > 0 else -closed
    entry_sats = _entry_share(holding, closed)
    rest = Holding(holding.contracts - closed, holding.entry_sats - entry_sats)
    opened, _ = trade(rest, contracts + closed, price_usd)
    return opened, _profit(closed, entry_sats, price_usd)


def _entry_share(holding: Holding, closed: int) -> int:
    """The part of the entry worth that closes; what its rounding takes now, the rest of the position gives back."""
    product = holding.entry_sats * abs(closed)
    size = abs(holding.contracts)
    return -(-product // size) if holding.contracts < 0 else product // size


def average_entry_usd(holding: Holding) -> Decimal | None:
    """The average entry price to the cent, for showing; None when there is no position."""
    if holding.contracts == 0 or holding.entry_sats == 0:
        return None
    dollars = Decimal(abs(holding.contracts) * CONTRACT_USD * SATS_PER_BTC)
    return _SHOWN.quantize(_SHOWN.divide(dollars, Decimal(holding.entry_sats)), _CENT)
