"""Customers' balances, and the trades that move them.

    CUSTOMER_DEPOSIT      DR CUSTODY              CR CUSTOMER/u           what came in, less
                                                  CR CUSTOMER_DEBT/u      what of it paid a debt
    CUSTOMER_WITHDRAWAL   DR CUSTOMER/u           CR CUSTODY
    CUSTOMER_DEBIT        DR CUSTOMER/u           CR CUSTODY              taken by force, and beyond what is available
                          DR CUSTOMER_DEBT/u                              as a debt
    CUSTOMER_TRANSFER     DR CUSTOMER/u           CR CUSTOMER/v
    CUSTOMER_CORRECTED    DR CUSTOMER_CORRECTIONS CR CUSTOMER/u           as a deposit or a debit, against an account of its
                                                  CR CUSTOMER_DEBT/u      own; the other way round where it is too much
    ORDER_LOCKED          DR CUSTOMER/u           CR CUSTOMER_LOCKED/u    ORDER_UNLOCKED goes the other way
    TRADE_SETTLED  quote  DR CUSTOMER_LOCKED/b                            what the buyer had locked for it
                          CR CUSTOMER/s                                   what the seller gets
                          CR CUSTOMER/b                                   what the price was better than the buyer's limit
                          CR TRADING_REVENUE                              both fees
                   base   DR CUSTOMER_LOCKED/s    CR CUSTOMER/b

What is available and what is locked may not fall below zero, so a trade that cannot be paid is refused by the books whole. A
trade is named by its id, whatever time and symbol are told with it: told again it is a duplicate, under another body a
conflict. Each is taken back by `domain/templates/reversal.py`.
"""

from functools import lru_cache
from typing import NamedTuple

from domain.ids import content_id, timeless_id
from domain.ledger.body import meta_text
from domain.ledger.journal import CREDIT, DEBIT, Entry, Transaction
from domain.templates.entries import moved, nonzero, settled

CUSTOMER_DEPOSIT, CUSTOMER_WITHDRAWAL, CUSTOMER_DEBIT = "CUSTOMER_DEPOSIT", "CUSTOMER_WITHDRAWAL", "CUSTOMER_DEBIT"
CUSTOMER_TRANSFER, CUSTOMER_CORRECTED = "CUSTOMER_TRANSFER", "CUSTOMER_CORRECTED"
ORDER_LOCKED, ORDER_UNLOCKED = "ORDER_LOCKED", "ORDER_UNLOCKED"
TRADE_SETTLED = "TRADE_SETTLED"
CUSTODY, REVENUE, CORRECTIONS = "CUSTODY", "TRADING_REVENUE", "CUSTOMER_CORRECTIONS"


def available_of(user: str) -> str:
    """Return the account of what a customer may use."""
    return f"CUSTOMER/{user}"


def locked_of(user: str) -> str:
    """Return the account of what a customer has locked for orders."""
    return f"CUSTOMER_LOCKED/{user}"


def debt_of(user: str) -> str:
    """Return the account of what a customer owes us."""
    return f"CUSTOMER_DEBT/{user}"


class Told(NamedTuple):
    """When something happened, and which message said so."""

    effective_at_ms: int
    source: str
    source_offset: int


def customer_deposit(name: str, user: str, asset: str, amount: int, repaid: int, told: Told) -> Transaction:
    """Book what came in for a customer, of which a part pays a debt."""
    return _of_customer(CUSTOMER_DEPOSIT, name, user, _given(CUSTODY, user, asset, amount, repaid), told, repaid)


def customer_withdrawal(name: str, user: str, asset: str, amount: int, told: Told) -> Transaction:
    """Book what a customer took out."""
    return _of_customer(CUSTOMER_WITHDRAWAL, name, user, moved(asset, available_of(user), CUSTODY, amount), told)


def customer_debit(name: str, user: str, asset: str, amount: int, owed: int, told: Told) -> Transaction:
    """Book what was taken from a customer by force, of which a part is owed from now on."""
    return _of_customer(CUSTOMER_DEBIT, name, user, _taken(CUSTODY, user, asset, amount, owed), told, owed)


def customer_corrected(name: str, user: str, asset: str, amount: int, part: int, told: Told) -> Transaction:
    """Book a correction: what a customer has too little, of which a part pays a debt, or too much, of which a part is owed."""
    move, size = (_given, amount) if amount > 0 else (_taken, -amount)
    return _of_customer(CUSTOMER_CORRECTED, name, user, move(CORRECTIONS, user, asset, size, part), told, part)


def _given(by: str, user: str, asset: str, amount: int, repaid: int) -> tuple[Entry, ...]:
    return nonzero(
        settled(by, asset, DEBIT, amount),
        settled(available_of(user), asset, CREDIT, amount - repaid),
        settled(debt_of(user), asset, CREDIT, repaid),
    )


def _taken(by: str, user: str, asset: str, amount: int, owed: int) -> tuple[Entry, ...]:
    return nonzero(
        settled(available_of(user), asset, DEBIT, amount - owed),
        settled(debt_of(user), asset, DEBIT, owed),
        settled(by, asset, CREDIT, amount),
    )


def customer_transfer(name: str, user: str, to: str, asset: str, amount: int, told: Told) -> Transaction:
    """Book what a customer gave to another one."""
    return _of_customer(CUSTOMER_TRANSFER, name, user, moved(asset, available_of(user), available_of(to), amount), told)


def order_locked(name: str, user: str, asset: str, amount: int, told: Told) -> Transaction:
    """Book what an order locks."""
    return _of_customer(ORDER_LOCKED, name, user, moved(asset, available_of(user), locked_of(user), amount), told)


def order_unlocked(name: str, user: str, asset: str, amount: int, told: Told) -> Transaction:
    """Book what an order that has ended no longer locks."""
    return _of_customer(ORDER_UNLOCKED, name, user, moved(asset, locked_of(user), available_of(user), amount), told)


def _of_customer(template: str, name: str, user: str, entries: tuple[Entry, ...], told: Told, part: int = 0) -> Transaction:
    return Transaction(
        timeless_id(template, name),
        template,
        told.effective_at_ms,
        entries,
        content_id("customer", user),
        told.source,
        told.source_offset,
        meta_text({"name": name, "part": part, "user": user}),
    )


class Sides(NamedTuple):
    """What a trade moves between its sides, in smallest units: `quantity` of the base, the rest of the quote."""

    buyer: str
    seller: str
    base: str
    quote: str
    quantity: int
    locked: int
    refund: int
    proceeds: int
    revenue: int


def trade_id(name: str) -> str:
    """Return the id of the posting of a trade."""
    return timeless_id(TRADE_SETTLED, name)


class Terms(NamedTuple):
    """What was agreed in a trade, for whoever reads the books: the price, who rested, which orders, which fees, its hash."""

    price: str
    maker: str
    buy_order: str
    sell_order: str
    buyer_fee: int
    seller_fee: int
    hash: str


@lru_cache(1024)
def _matter(symbol: str) -> str:
    return content_id("symbol", symbol)


def trade_settled(name: str, symbol: str, sequence: int, sides: Sides, terms: Terms, told: Told) -> Transaction:
    """Book all sides of a trade at once."""
    base, quote = sides.base, sides.quote
    entries = nonzero(
        settled(locked_of(sides.buyer), quote, DEBIT, sides.locked),
        settled(available_of(sides.seller), quote, CREDIT, sides.proceeds),
        settled(available_of(sides.buyer), quote, CREDIT, sides.refund),
        settled(REVENUE, quote, CREDIT, sides.revenue),
        settled(locked_of(sides.seller), base, DEBIT, sides.quantity),
        settled(available_of(sides.buyer), base, CREDIT, sides.quantity),
    )
    named = {"trade": name, "symbol": symbol, "sequence": sequence, "buyer": sides.buyer, "seller": sides.seller}
    return Transaction(
        trade_id(name),
        TRADE_SETTLED,
        told.effective_at_ms,
        entries,
        _matter(symbol),
        told.source,
        told.source_offset,
        meta_text(named | terms._asdict()),
    )
