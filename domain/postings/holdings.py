"""What customers have by what was booked for them: worked out from the other sides of each posting and from what it says of
itself, not from what it booked on their own accounts.

So who has turned a balance, or an entry behind it, has both against himself. A trade is worked out from its price, its quantity
and its fees; what an order locked from what was taken elsewhere, and the reverse. A reversal undoes what its original did.
"""

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Literal, NamedTuple

from domain.ledger.journal import CREDIT, DEBIT
from domain.settlement.trade import Refusal, cost_of
from domain.templates import settlement as templates
from domain.templates.settlement import CORRECTIONS, CUSTODY, available_of, debt_of, locked_of

Kind = Literal["available", "locked", "debt"]
ACCOUNTS: Mapping[Kind, Callable[[str], str]] = {"available": available_of, "locked": locked_of, "debt": debt_of}
SIDES: Mapping[Kind, int] = {"available": CREDIT, "locked": CREDIT, "debt": DEBIT}
"""On which side of an account a customer has more of it."""

Change = tuple[Kind, str, int]
"""Of what a customer has so much more: which account, and which asset."""


class Pair(NamedTuple):
    """What a symbol trades, and how fine both are."""

    base: str
    base_decimals: int
    quote: str
    quote_decimals: int


class Line(NamedTuple):
    """An entry: account, asset, side and amount."""

    account: str
    asset: str
    side: int
    amount: int


class Done(NamedTuple):
    """A posting with all its entries. Of a reversal, template and metadata are those of its original, and its sides turned."""

    template: str
    meta: Mapping[str, str | int]
    lines: tuple[Line, ...]
    sign: int = 1

    @property
    def name(self) -> str:
        """The name of the word that it was booked for."""
        return str(self.meta.get("name", ""))

    def on(self, account: str, side: int) -> dict[str, int]:
        """Return what was booked on a side of an account, by asset."""
        found: dict[str, int] = {}
        for line in self.lines:
            if (line.account, line.side * self.sign) == (account, side):
                found[line.asset] = found.get(line.asset, 0) + line.amount
        return found


def changes(customer: str, done: Done, pairs: Mapping[str, Pair]) -> Iterator[Change]:
    """Yield what a posting changed of what a customer has."""
    make = _OF.get(done.template)
    found = _trade(customer, done, pairs) if done.template == templates.TRADE_SETTLED else (make or _own)(customer, done)
    for kind, asset, amount in found:
        yield kind, asset, amount * done.sign


def booked_on(customer: str, done: Done) -> Iterator[Change]:
    """Yield what a posting booked on the accounts of a customer."""
    for kind, asset, amount in _own(customer, done):
        yield kind, asset, amount * done.sign


def _own(customer: str, done: Done) -> Iterator[Change]:
    for kind, account in ACCOUNTS.items():
        for side in (DEBIT, CREDIT):
            for asset, amount in done.on(account(customer), side).items():
                yield kind, asset, amount * side * SIDES[kind]


def _given(customer: str, done: Done) -> Iterator[Change]:
    yield from _got(customer, done, CUSTODY)


def _got(customer: str, done: Done, by: str) -> Iterator[Change]:
    for asset, amount in done.on(by, DEBIT).items() if customer == done.meta["user"] else ():
        yield "available", asset, amount - _number(done, "part")
        yield "debt", asset, -_number(done, "part")


def _taken(customer: str, done: Done) -> Iterator[Change]:
    yield from _lost(customer, done, CUSTODY)


def _lost(customer: str, done: Done, by: str) -> Iterator[Change]:
    for asset, amount in done.on(by, CREDIT).items() if customer == done.meta["user"] else ():
        yield "available", asset, _number(done, "part") - amount
        yield "debt", asset, _number(done, "part")


def _corrected(customer: str, done: Done) -> Iterator[Change]:
    yield from _got(customer, done, CORRECTIONS)
    yield from _lost(customer, done, CORRECTIONS)


def _transfer(customer: str, done: Done) -> Iterator[Change]:
    giver = str(done.meta["user"])
    others = {line.account for line in done.lines} - {available_of(giver)}
    if available_of(customer) in others:
        yield from (("available", asset, amount) for asset, amount in done.on(available_of(giver), DEBIT).items())
    for other in others if customer == giver else ():
        yield from (("available", asset, -amount) for asset, amount in done.on(other, CREDIT).items())


def _locked(customer: str, done: Done) -> Iterator[Change]:
    yield from (("available", asset, -amount) for asset, amount in done.on(locked_of(customer), CREDIT).items())
    yield from (("locked", asset, amount) for asset, amount in done.on(available_of(customer), DEBIT).items())


def _unlocked(customer: str, done: Done) -> Iterator[Change]:
    yield from (("available", asset, amount) for asset, amount in done.on(locked_of(customer), DEBIT).items())
    yield from (("locked", asset, -amount) for asset, amount in done.on(available_of(customer), CREDIT).items())


def _trade(customer: str, done: Done, pairs: Mapping[str, Pair]) -> Iterator[Change]:
    pair = pairs.get(str(done.meta["symbol"]))
    if pair is None:
        yield from _own(customer, done)
        return
    buyer, seller = str(done.meta["buyer"]), str(done.meta["seller"])
    quantity = done.on(available_of(buyer), CREDIT).get(pair.base, 0)
    cost = cost_of(Decimal(done.meta["price"]), quantity, pair.base_decimals, pair.quote_decimals)
    paid = 0 if isinstance(cost, Refusal) else cost
    if customer == buyer:
        yield from _bought(done, pair, paid + _number(done, "buyer_fee"))
    if customer == seller:
        yield "locked", pair.base, -quantity
        yield "available", pair.quote, paid - _number(done, "seller_fee")


def _bought(done: Done, pair: Pair, paid: int) -> Iterator[Change]:
    """Yield what a buyer got: the base that the seller had locked, and what is left of the own lock."""
    buyer, seller = str(done.meta["buyer"]), str(done.meta["seller"])
    yield "available", pair.base, done.on(locked_of(seller), DEBIT).get(pair.base, 0)
    yield "available", pair.quote, done.on(locked_of(buyer), DEBIT).get(pair.quote, 0) - paid
    yield "locked", pair.quote, -paid - done.on(available_of(buyer), CREDIT).get(pair.quote, 0)


def _number(done: Done, name: str) -> int:
    return int(done.meta[name])


_OF: Mapping[str, Callable[[str, Done], Iterator[Change]]] = {
    templates.CUSTOMER_DEPOSIT: _given,
    templates.CUSTOMER_WITHDRAWAL: _taken,
    templates.CUSTOMER_DEBIT: _taken,
    templates.CUSTOMER_TRANSFER: _transfer,
    templates.CUSTOMER_CORRECTED: _corrected,
    templates.ORDER_LOCKED: _locked,
    templates.ORDER_UNLOCKED: _unlocked,
}
