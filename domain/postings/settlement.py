"""What the settlement desk asks of the books, as postings."""

from collections.abc import Callable, Mapping
from typing import Any

from domain.ids import timeless_id
from domain.ledger.journal import Transaction
from domain.messages.settlement import CustomerCorrection
from domain.money import price_text
from domain.settlement.answers import Word, key_of
from domain.settlement.desk import LockAsked, MoneyAsked, TradeAsked
from domain.streams.records import Record
from domain.templates import settlement as templates
from domain.templates.settlement import Sides, Terms, Told


def post_settlement(record: Record[Any]) -> Transaction | None:
    """Return the posting that an effect of the desk asks for; None where it asks for none, or is refused."""
    make, refusal = _MAKERS.get(type(record.value)), getattr(record.value, "refusal", None)
    return None if make is None or refusal is not None else make(record.value)


def _lock(asked: LockAsked) -> Transaction:
    word, told = asked.word, Told(asked.word.as_of, *asked.heard)
    make = templates.order_locked if word.command == "lock" else templates.order_unlocked
    return make(word.order_id, word.customer, asked.asset, asked.amount, told)


def _money(asked: MoneyAsked) -> Transaction:
    word, told = asked.word, Told(asked.word.as_of, *asked.heard)
    if isinstance(word, CustomerCorrection):
        return templates.customer_corrected(word.id, word.customer, word.asset, word.amount, asked.part, told)
    if word.to is not None:
        return templates.customer_transfer(word.id, word.customer, word.to, word.asset, word.amount, told)
    if word.kind == "withdrawal":
        return templates.customer_withdrawal(word.id, word.customer, word.asset, word.amount, told)
    make = templates.customer_deposit if word.kind == "deposit" else templates.customer_debit
    return make(word.id, word.customer, word.asset, word.amount, asked.part, told)


def _trade(asked: TradeAsked) -> Transaction:
    word = asked.word
    sides = Sides(word.buyer, word.seller, asked.base, asked.quote, *asked.moves)
    orders, fees = (word.buy_order_id, word.sell_order_id), (asked.buyer_fee, asked.seller_fee)
    terms = Terms(price_text(word.price), word.maker, *orders, *fees, word.hash)
    return templates.trade_settled(word.trade_id, word.symbol, word.sequence, sides, terms, Told(word.as_of, *asked.heard))


_MAKERS: Mapping[type, Callable[[Any], Transaction]] = {LockAsked: _lock, MoneyAsked: _money, TradeAsked: _trade}


KINDS = {
    "trade": templates.TRADE_SETTLED,
    "lock": templates.ORDER_LOCKED,
    "unlock": templates.ORDER_UNLOCKED,
    "deposit": templates.CUSTOMER_DEPOSIT,
    "withdrawal": templates.CUSTOMER_WITHDRAWAL,
    "debit": templates.CUSTOMER_DEBIT,
    "transfer": templates.CUSTOMER_TRANSFER,
    "correction": templates.CUSTOMER_CORRECTED,
}
"""The templates by what a word asks for."""


def posting_id(word: Word) -> str:
    """Return the id of the posting that a word leads to, if it is not refused."""
    kind, name = key_of(word)
    return timeless_id(KINDS[kind], name)
