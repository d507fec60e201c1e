"""Settled trades, worked out again from their messages: DuckDB has no number for a price times a quantity of 38 digits."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

from app.reports.audit.booked import CREDIT, DEBIT, Booked, Entry, booked, entries_of, judged
from app.reports.audit.checks import Check, Row
from app.reports.audit.terms import Pair, pairs
from domain.messages.settlement import MatchedTrade, TradeReplay
from domain.money import price_text
from domain.settlement.links import hash_of
from sinks.archive.parquet import Duck

TEMPLATE = "TRADE_SETTLED"


def _ask(opened: Duck) -> tuple[int, int, Sequence[Row]]:
    known = pairs(opened)
    return judged(booked(opened, [TEMPLATE]), partial(_wrong, known))


def _wrong(known: Mapping[str, Pair], one: Booked) -> str | None:
    """Return what is wrong with the posting of a trade."""
    trade, meta = _trade(one.said), json.loads(one.meta)
    if trade is None:
        return "its message is not there, or is no trade"
    otherwise = [name for name, value in _said(trade).items() if meta.get(name) != value]
    if otherwise:
        return f"its message says otherwise: {', '.join(otherwise)}"
    if trade.hash != hash_of(trade):
        return f"its message is hashed to {hash_of(trade)}"
    pair = known.get(trade.symbol)
    return "its symbol was never told of" if pair is None else _priced(pair, trade, one, meta)


def _trade(said: str | None) -> MatchedTrade | None:
    if said is None:
        return None
    try:
        return (
            TradeReplay.model_validate_json(said).trade
            if "trade" in json.loads(said)
            else MatchedTrade.model_validate_json(said)
        )
    except ValueError:
        return None


def _said(trade: MatchedTrade) -> Mapping[str, str | int]:
    """Return what the metadata of a trade has to say."""
    sides = {
        "buyer": trade.buyer,
        "seller": trade.seller,
        "buy_order": trade.buy_order_id,
        "sell_order": trade.sell_order_id,
    }
    named: dict[str, str | int] = {
        "trade": trade.trade_id,
        "symbol": trade.symbol,
        "sequence": trade.sequence,
        "hash": trade.hash,
    }
    return {**sides, **named, "price": price_text(trade.price), "maker": trade.maker}


def _priced(pair: Pair, trade: MatchedTrade, one: Booked, meta: Mapping[str, int]) -> str | None:
    cost = pair.cost(trade.price, trade.quantity)
    if cost.denominator != 1:
        return f"it costs {cost}, which is no amount"
    fees = meta["buyer_fee"], meta["seller_fee"]
    roles = trade.maker == "buyer", trade.maker == "seller"
    if any(fee not in pair.fees(int(cost), is_maker=role) for fee, role in zip(fees, roles, strict=True)):
        return f"fees of {fees[0]} and {fees[1]} on {cost} are at no rate that was told"
    expected = _entries(pair, trade, int(cost), fees, one.amount(f"CUSTOMER_LOCKED/{trade.buyer}", pair.quote, DEBIT))
    return one.unlike(expected)


def _entries(pair: Pair, trade: MatchedTrade, cost: int, fees: tuple[int, int], locked: int) -> Counter[Entry]:
    """Return what a trade books; what its buyer had locked is judged with the order."""
    return entries_of(
        (f"CUSTOMER_LOCKED/{trade.buyer}", pair.quote, DEBIT, locked),
        (f"CUSTOMER/{trade.seller}", pair.quote, CREDIT, cost - fees[1]),
        (f"CUSTOMER/{trade.buyer}", pair.quote, CREDIT, locked - cost - fees[0]),
        ("TRADING_REVENUE", pair.quote, CREDIT, sum(fees)),
        (f"CUSTOMER_LOCKED/{trade.seller}", pair.base, DEBIT, trade.quantity),
        (f"CUSTOMER/{trade.buyer}", pair.base, CREDIT, trade.quantity),
    )


CHECK = Check(
    "S3_every_posting_of_a_trade_books_what_its_trade_says",
    "what was booked for a trade is its quantity of the base, its price times that of the quote, both fees at a rate that was "
    "told, and what is left of the lock, between the customers and orders that its message names",
    "postings of trades",
    _ask,
)
