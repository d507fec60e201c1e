"""The short way from a line of the dealer's wallet to a leg that arrives: it accepts fast, and leaves all else to others.

A leg is by far the most frequent message. What is plainly one is read here by msgspec; whatever is odd in any way is None, and
then the model reads it (`domain/messages/dealer.py`), which also accepts it or says what is wrong with it. So nothing is
refused here, and what is accepted is what the model would have made: `tests/operators/test_legs.py` holds the two to the
same verdicts over lines that were changed at random.
"""

import re
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from domain.messages.dealer import DealerTransaction
from domain.messages.fields import AMOUNT_MAX, MESSAGE_BYTES_MAX
from domain.money import MONEY
from domain.pairing.effects import Arrival, arrival_of
from domain.pairing.legs import Leg, leg_from, pairing_key
from domain.streams.records import new
from domain.times import BITCOIN_BEGAN_MS, LATEST_MS, parse_ms
from operators.streams.decode import AHEAD_MAX_MS

_Short = Annotated[str, Meta(min_length=1, max_length=64)]
_PRICE = re.compile(r"([0-9]{1,20})(?:\.([0-9]{1,18}))?")
_EXACT = 10**MONEY.prec
"""Decimals round a product that is not less; what is less they have exact, as integers do."""


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


# Without a backslash every quote is one of JSON's own, and no control character stands in a text but DEL. A number is found
# in bytes ten times as fast as a byte.
_BACKSLASH, _DELETE = b"\\\x7f"

_decode = msgspec.json.Decoder(_Line).decode
_fields = msgspec.structs.astuple


def arrival_from(message: DealerTransaction) -> Arrival:
    """Return the leg of a message as it arrives."""
    return arrival_of(leg_from(message))


def quick_arrival(raw: bytes, came_ms: int) -> Arrival | None:
    """Return the leg that a line plainly tells of, which came at this time; None if there is anything to be asked about it."""
    if _BACKSLASH in raw or _DELETE in raw or len(raw) > MESSAGE_BYTES_MAX:
        return None
    try:
        leg = _leg(_decode(raw), raw.count(b'":'), came_ms)
    except ValueError:
        return None
    return new(Arrival, (leg, (), pairing_key(leg)))


def _leg(line: _Line, keys: int, came_ms: int) -> Leg:
    """Return the leg of a line in which so many keys stand; ValueError if it is not plain."""
    id_, told_at, direction, currency, signed, status, method, price, memo = _fields(line)
    told = 5 + (status is not UNSET) + (method is not UNSET) + (price is not UNSET) + (memo is not UNSET)
    at_ms = told_at if type(told_at) is int else parse_ms(told_at)
    amount = signed if direction == "RECEIVE" else -signed
    is_plain = (
        told == keys and 0 < amount <= AMOUNT_MAX and BITCOIN_BEGAN_MS <= at_ms <= min(came_ms + AHEAD_MAX_MS, LATEST_MS)
    )
    if not is_plain or (price is UNSET and currency == "BTC"):
        raise ValueError
    cents = amount if price is UNSET else quick_worth(amount, price)
    status = "SUCCESS" if status is UNSET else status
    method = "SettlementViaIntraLedger" if method is UNSET else method
    return new(Leg, (id_, at_ms, status, direction, currency, amount, method, None if memo is UNSET else memo, cents))


def quick_worth(amount: int, price: str) -> int:
    """Return what `domain.money.worth_cents` would of a price in plain digits, worked out in integers; ValueError otherwise."""
    told = _PRICE.fullmatch(price)
    if told is None:
        raise ValueError
    whole, part = told.groups("")
    digits = int(whole + part)
    one: int = 10 ** len(part)
    if not 0 < amount * digits < _EXACT:
        raise ValueError
    cents, rest = divmod(amount * digits, one)
    return cents + (2 * rest + (cents & 1) > one)
