"""An exchange of our own that matches orders: by price, then by time, symbol by symbol; for demos, benchmarks and tests alone.

An order trades with the best that rests on the other side, at the price of what rests, until it is filled or nothing
crosses it. The rest of it rests. Where customers may not trade with themselves, an order of theirs that rests is cancelled.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator
from decimal import Decimal
from typing import Literal, NamedTuple

from domain.messages.settlement import MatchedTrade
from domain.settlement.links import GENESIS, linked

Side = Literal["buy", "sell"]


class Resting(NamedTuple):
    """An order in the book, which sorts by what is best for the other side, then by age."""

    rank: Decimal
    age: int
    order_id: str
    customer: str
    price: Decimal
    quantity: int


class Cancelled(NamedTuple):
    """An order that no longer rests."""

    order_id: str
    customer: str


class Matching:
    """The books of all symbols, and the chain of trades of each. `run` makes the ids of its trades unlike those of others."""

    def __init__(self, *, may_trade_with_oneself: bool = False, run: str = "") -> None:
        self._may_trade_with_oneself = may_trade_with_oneself
        self._prefix = f"{run}-" if run else ""
        self._books: dict[tuple[str, Side], list[Resting]] = {}
        self._chains: dict[str, tuple[int, str]] = {}
        self._places: dict[tuple[str, str], tuple[Decimal, int]] = {}
        self._age = 0

    def place(
        self, order_id: str, customer: str, symbol: str, side: Side, limit: Decimal, quantity: int, at_ms: int
    ) -> Iterator[MatchedTrade | Cancelled]:
        """Yield the trades of a new order, and the orders that are cancelled for it; let the rest of it rest."""
        others = self._books.setdefault((symbol, "sell" if side == "buy" else "buy"), [])
        while quantity and others and _crosses(side, limit, others[0].price):
            best = others.pop(0)
            if best.customer == customer and not self._may_trade_with_oneself:
                yield Cancelled(best.order_id, best.customer)
                continue
            part = min(quantity, best.quantity)
            quantity -= part
            if best.quantity > part:
                others.insert(0, best._replace(quantity=best.quantity - part))
            yield self._trade(symbol, side, order_id, customer, best, part, at_ms)
        if quantity:
            self._age += 1
            rank = -limit if side == "buy" else limit
            self._places[symbol, order_id] = rank, self._age
            insort(self._books.setdefault((symbol, side), []), Resting(rank, self._age, order_id, customer, limit, quantity))

    def cancel(self, order_id: str, symbol: str, side: Side) -> bool:
        """Take an order out of its book; False when it does not rest there."""
        book, place = self._books.get((symbol, side), []), self._places.pop((symbol, order_id), None)
        at = len(book) if place is None else bisect_left(book, place)
        rests = at < len(book) and book[at].order_id == order_id
        if rests:
            del book[at]
        return rests

    def _trade(
        self, symbol: str, side: Side, order_id: str, customer: str, best: Resting, quantity: int, at_ms: int
    ) -> MatchedTrade:
        last, last_hash = self._chains.get(symbol, (0, GENESIS))
        ours, theirs = (customer, order_id), (best.customer, best.order_id)
        (buyer, buy_id), (seller, sell_id) = (ours, theirs) if side == "buy" else (theirs, ours)
        trade = linked(
            MatchedTrade(
                symbol=symbol,
                sequence=last + 1,
                trade_id=f"{self._prefix}{symbol}-{last + 1}",
                price=best.price,
                quantity=quantity,
                buyer=buyer,
                buy_order_id=buy_id,
                seller=seller,
                sell_order_id=sell_id,
                maker="seller" if side == "buy" else "buyer",
                as_of=at_ms,
                previous_hash=last_hash,
                hash=GENESIS,
            )
        )
        self._chains[symbol] = (trade.sequence, trade.hash)
        return trade


def _crosses(side: Side, limit: Decimal, price: Decimal) -> bool:
    return price <= limit if side == "buy" else price >= limit
