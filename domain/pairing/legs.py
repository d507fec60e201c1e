"""A leg: one side of a user trade, as the dealer's wallet lists it, with its worth in cents worked out.

A user trade leaves two legs in the wallet, one in bitcoin and one in dollars, in opposite directions. Nothing in a
leg names its partner for sure, so legs are first sorted by what two partners must have in common, the *pairing key*,
and then matched inside it by their worth (`domain/pairing/match.py`).
"""

from typing import NamedTuple

from msgspec import Struct
from msgspec.json import Decoder

from domain.ledger.body import quoted
from domain.messages.dealer import DealerTransaction
from domain.money import worth_cents

JOURNAL_PREFIX = "JournalId:"
"""A memo that starts like this, in this case, names the trade: only the very same memo can be the partner's."""


class Leg(NamedTuple):
    """One leg. `amount` and `cents` are absolute, in minor units of `currency` and in cents; the sign is in
    `direction`.

    `direction` is RECEIVE or SEND from the dealer's side, `status` is SUCCESS, PENDING or FAILURE.
    """

    id: str
    created_at_ms: int
    status: str
    direction: str
    currency: str
    amount: int
    method: str
    memo: str | None
    cents: int


def leg_from(message: DealerTransaction) -> Leg:
    """The leg that a message tells of; its worth is rounded half to even."""
    amount = abs(message.settlement_amount)
    return Leg(
        message.id,
        message.created_at,
        message.status,
        message.direction,
        message.settlement_currency,
        amount,
        message.settlement_method,
        message.memo,
        worth_cents(amount, message.cents_per_unit),
    )


def user_buys_usd(leg: Leg) -> bool:
    """What the dealer gives is what the user buys: bitcoin comes in and dollars go out."""
    return (leg.currency == "BTC") == (leg.direction == "RECEIVE")


def has_journal(leg: Leg) -> bool:
    """Whether the memo names the trade."""
    return leg.memo is not None and leg.memo.startswith(JOURNAL_PREFIX)


def pairing_key(leg: Leg) -> str:
    """What two partners have in common; legs with different keys never pair.

    The finest such key under the reference rule: the same whole second, opposite currency and direction (so the user
    does the same in both), the same method, and the same memo where either names a journal. The length before the
    method keeps any two keys apart, whatever characters the method and the memo are made of.
    """
    _, created_at_ms, _, direction, currency, _, method, memo, _ = leg
    side = "buys" if (currency == "BTC") == (direction == "RECEIVE") else "sells"
    journal = memo if memo is not None and memo.startswith(JOURNAL_PREFIX) else ""
    return f"{created_at_ms // 1000}/{side}/{len(method)}/{method}/{journal}"


def difference(first: Leg, other: Leg) -> str:
    """Return a sentence that names what a later word on a leg says otherwise than the first."""
    told = zip(Leg._fields, first, other, strict=True)
    parts = [f"{name} {_shown(was)}, now {_shown(now)}" for name, was, now in told if was != now]
    return f"the leg was first told with {'; '.join(parts)}; the first word stands"


def _shown(value: str | int | None) -> str:
    return "nothing" if value is None else f'"{value}"' if isinstance(value, str) else str(value)


def to_json(leg: Leg) -> str:
    """Write a leg as canonical JSON, as it stands in the metadata of a posting."""
    id_, created_at_ms, status, direction, currency, amount, method, memo, cents = leg
    # Two of these are written for every trade, so the keys stand here in order, and only texts are looked at.
    return (
        f'{{"amount":{amount},"cents":{cents},"created_at_ms":{created_at_ms},"currency":{quoted(currency)},'
        f'"direction":{quoted(direction)},"id":{quoted(id_)},"memo":{"null" if memo is None else quoted(memo)},'
        f'"method":{quoted(method)},"status":{quoted(status)}}}'
    )


class _Told(Struct):
    id: str
    created_at_ms: int
    status: str
    direction: str
    currency: str
    amount: int
    method: str
    memo: str | None
    cents: int


class _Legs(Struct):
    btc_leg: _Told | None = None
    usd_leg: _Told | None = None


_read = Decoder(_Legs).decode


def legs_from_json(meta: str) -> tuple[Leg, Leg] | None:
    """Read the bitcoin and the dollar leg that `to_json` wrote into the metadata of a posting; None if they are not there."""
    legs = _read(meta)
    if legs.btc_leg is None or legs.usd_leg is None:
        return None
    return _leg(legs.btc_leg), _leg(legs.usd_leg)


def _leg(told: _Told) -> Leg:
    return Leg(*[getattr(told, name) for name in Leg._fields])
