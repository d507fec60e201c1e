"""What OKX says of a position, in our terms: signed cents of exposure and the last price in cents.

The exchange answers in strings, and a position that is flat may come with every other field blank, or not at all.
Whatever else cannot be read is said to be unreadable, never guessed to be zero: a zero would make the hedge sell a
second time.

Ahead of its connector; so far only the reference's cases ask it.
"""

from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any, NamedTuple

from domain.money import MONEY, decimal_from_text

_ZERO = Decimal(0)


class OkxPosition(NamedTuple):
    """`exposure_cents` is negative when short; `last_price_cents` is for one bitcoin, 0 where OKX gave none."""

    exposure_cents: Decimal
    last_price_cents: Decimal


class UnreadablePosition(NamedTuple):
    """A position that cannot be read, as it came."""

    detail: str


def parse_position(row: Mapping[str, Any] | None) -> OkxPosition | UnreadablePosition:
    """Read the position of one instrument, or None for an empty answer.

    The exposure is `notionalUsd` with the sign of `pos`, which is contracts; the price is `last`.
    """
    if row is None:
        return OkxPosition(_ZERO, _ZERO)
    position, notional, last = (_number(row, field) for field in ("pos", "notionalUsd", "last"))
    if position is not None and notional is not None and last is not None:
        with localcontext(MONEY):
            cents = notional * 100
            return OkxPosition(cents if position > 0 else _ZERO - cents, last * 100)
    if position == 0:
        return OkxPosition(_ZERO, _ZERO)
    fields = {field: row.get(field) for field in ("pos", "notionalUsd", "last")}
    return UnreadablePosition(f"OKX gave a position that is neither flat nor complete: {fields}")


def _number(row: Mapping[str, Any], field: str) -> Decimal | None:
    value = row.get(field)
    return decimal_from_text(value) if isinstance(value, str) else None
