"""On which terms customers trade, as they were told: how small the units of assets are, and what trading may cost."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from pydantic import TypeAdapter

from app.reports.audit.checks import rows_of
from domain.settlement.fees import LEVELS, PPM
from sinks.archive.parquet import Duck

_PAIRS = """
SELECT symbol, arg_min(base, recorded_at_us), arg_min(base_decimals, recorded_at_us), arg_min(quote, recorded_at_us),
    arg_min(quote_decimals, recorded_at_us), list(DISTINCT fees)
FROM instrument GROUP BY symbol
"""
_LEVELS = "SELECT fees, levels FROM fee_schedule"
_RATES = TypeAdapter(tuple[tuple[int, int], ...])


class Pair(NamedTuple):
    """What a symbol trades, as it was told first, and all levels at which it was ever traded: millionths for who rested, and
    for who took."""

    base: str
    base_decimals: int
    quote: str
    quote_decimals: int
    levels: frozenset[tuple[int, int]]

    def cost(self, price: Decimal, quantity: int) -> Fraction:
        """Return what a quantity costs in smallest units of the quote, exactly, whether that is a whole number or not."""
        return Fraction(price) * Fraction(quantity * int(10**self.quote_decimals), int(10**self.base_decimals))

    def fees(self, cost: int, *, is_maker: bool) -> set[int]:
        """Return every fee that there may be on a cost."""
        return {cost * level[0 if is_maker else 1] // PPM for level in self.levels}

    def locks(self, cost: int) -> set[int]:
        """Return all that a buyer may have to lock: the cost at the limit, and the dearer fee."""
        return {cost + cost * max(level) // PPM for level in self.levels}


def pairs(opened: Duck) -> Mapping[str, Pair]:
    """Return all symbols that were ever told of."""
    levels: defaultdict[str, set[tuple[int, int]]] = defaultdict(set)
    levels["standard"] |= {(rates.maker_ppm, rates.taker_ppm) for rates in LEVELS}
    for name, told in rows_of(opened, _LEVELS):
        levels[name].update(_RATES.validate_json(told))
    found: dict[str, Pair] = {}
    for symbol, base, base_decimals, quote, quote_decimals, names in rows_of(opened, _PAIRS):
        at = frozenset(level for name in names for level in levels[name])
        found[symbol] = Pair(base, base_decimals, quote, quote_decimals, at)
    return found
