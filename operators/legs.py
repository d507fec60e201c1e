"""The short way from a line of the dealer's wallet to a leg: it accepts fast, and leaves all else to who can explain.

A leg is by far the most frequent message. What is plainly one is read here by msgspec; whatever is odd in any way is None, and
then the model reads it (`domain/messages/dealer.py`), which also accepts it or says what is wrong with it. So nothing is
refused here, and what is accepted is what the model would have made: `tests/operators/test_legs.py` holds the two to the
same verdicts over lines that were changed at random.
"""

import re
from decimal import Decimal
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.messages.fields import AMOUNT_MAX
from domain.money import worth_cents
from domain.pairing.legs import Leg
from domain.times import BITCOIN_BEGAN_MS, LATEST_MS, parse_ms
from operators.streams.decode import AHEAD_MAX_MS, MESSAGE_BYTES_MAX

_Short = Annotated[str, Meta(min_length=1, max_length=64)]
_PRICE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")


class _Line(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """The fields of a `DealerTransaction` but for the version, with what was left out kept apart from what was told."""

    id: _Short
    created_at: int | str
    direction: Literal["RECEIVE", "SEND"]
    settlement_currency: Literal["BTC", "USD"]
    settlement_amount: int
    status: Literal["SUCCESS", "PENDING", "FAILURE"] | UnsetType = UNSET
    settlement_method: _Short | UnsetType = UNSET
    cents_per_unit: str | UnsetType = UNSET
    memo: Annotated[str, Meta(max_length=256)] | UnsetType | None = UNSET


_decode = msgspec.json.Decoder(_Line).decode


def quick_leg(raw: bytes, came_ms: int) -> Leg | None:
    """Return the leg that a line plainly tells of, which came at this time; None if there is anything to be asked about it."""
    # Without a backslash every quote is one of JSON's own, and no control character stands in a text but DEL.
    if b"\\" in raw or b"\x7f" in raw or len(raw) > MESSAGE_BYTES_MAX:
        return None
    try:
        line = _decode(raw)
        at_ms, cents = parse_ms(line.created_at), _worth_cents(line)
    except ValueError:
        return None
    told = _told(line)
    is_plain = told == raw.count(b'":') and BITCOIN_BEGAN_MS <= at_ms <= min(came_ms + AHEAD_MAX_MS, LATEST_MS)
    return _leg(line, at_ms, cents) if is_plain else None


def _worth_cents(line: _Line) -> int:
    """Return the worth of a line whose amount and price are plain; ValueError otherwise."""
    amount, price = line.settlement_amount, line.cents_per_unit
    if not amount or (amount > 0) != (line.direction == "RECEIVE") or not -AMOUNT_MAX <= amount <= AMOUNT_MAX:
        raise ValueError
    if price is UNSET and line.settlement_currency == "USD":
        return abs(amount)
    if price is UNSET or not _PRICE.fullmatch(price):
        raise ValueError
    cents_per_unit = Decimal(price)
    if not cents_per_unit:
        raise ValueError
    return worth_cents(abs(amount), cents_per_unit)


def _told(line: _Line) -> int:
    """Return how many fields a line has; a line with more keys than that has one twice."""
    may_be_left_out = (line.status, line.settlement_method, line.cents_per_unit, line.memo)
    return 9 - may_be_left_out.count(UNSET)


def _leg(line: _Line, at_ms: int, cents: int) -> Leg:
    return Leg(
        line.id,
        at_ms,
        "SUCCESS" if line.status is UNSET else line.status,
        line.direction,
        line.settlement_currency,
        abs(line.settlement_amount),
        "SettlementViaIntraLedger" if line.settlement_method is UNSET else line.settlement_method,
        None if line.memo is UNSET else line.memo,
        cents,
    )
