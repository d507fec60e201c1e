"""The settlement in fifty lines: what everybody has, by plain arithmetic, to hold everything else against."""

from collections import defaultdict
from typing import Any

from domain.messages.settlement import CustomerFlow, Instrument, MatchedTrade, OrderLock
from domain.settlement.fees import LEVELS

MAKER, TAKER = LEVELS[0]


class Model:
    """Takes words one after the other: what is available, locked and owed by customer and asset, and what was refused."""

    def __init__(self) -> None:
        self.available: dict[tuple[str, str], int] = defaultdict(int)
        self.locked: dict[tuple[str, str], int] = defaultdict(int)
        self.debt: dict[tuple[str, str], int] = defaultdict(int)
        self.instruments: dict[str, Instrument] = {}
        self.orders: dict[str, list[Any]] = {}
        self.taken: set[tuple[str, str]] = set()
        self.refused = 0

    def tell(self, word: Any) -> None:
        """Take one word."""
        if isinstance(word, Instrument):
            self.instruments[word.symbol] = word
        elif isinstance(word, MatchedTrade):
            self.trade(word)
        else:
            name = (word.command, word.order_id) if isinstance(word, OrderLock) else (word.kind, word.id)
            is_done = name not in self.taken and (self.order(word) if isinstance(word, OrderLock) else self.money(word))
            self.taken |= {name} if is_done else set()
            self.refused += not is_done

    def cost(self, symbol: str, price: Any, quantity: int) -> int:
        """What a quantity costs, in smallest units of the quote."""
        pair = self.instruments[symbol]
        return int(price) * quantity * 10**pair.quote_decimals // 10**pair.base_decimals

    def part(self, order: list[Any], quantity: int) -> int:
        """What a part of an order takes of its lock."""
        _, symbol, side, limit, left, locked = order
        cost = self.cost(symbol, limit, quantity)
        return locked if quantity == left else quantity if side == "sell" else cost + cost * TAKER // 10**6

    def order(self, word: OrderLock) -> bool:
        """An order is placed, or ends."""
        pair = self.instruments[word.symbol]
        if word.command == "unlock":
            order = self.orders.pop(word.order_id, None)
            return order is not None and self.lock(word.customer, pair.quote if order[2] == "buy" else pair.base, -order[5])
        order = [word.customer, word.symbol, word.side, word.limit, word.quantity, 0]
        amount = self.part([*order[:4], -1, 0], word.quantity or 0)
        if not self.lock(word.customer, pair.quote if word.side == "buy" else pair.base, amount):
            return False
        self.orders[word.order_id] = [*order[:5], amount]
        return True

    def lock(self, customer: str, asset: str, amount: int) -> bool:
        """Lock what is there."""
        if self.available[customer, asset] < amount:
            return False
        self.available[customer, asset] -= amount
        self.locked[customer, asset] += amount
        return True

    def trade(self, word: MatchedTrade) -> None:
        """Both orders give, and both customers get."""
        buys, sells = self.orders.get(word.buy_order_id), self.orders.get(word.sell_order_id)
        if ("trade", word.trade_id) in self.taken:
            return
        self.taken.add(("trade", word.trade_id))
        if buys is None or sells is None or word.buyer == word.seller or min(buys[4], sells[4]) < word.quantity:
            self.refused += 1
            return
        pair, cost = self.instruments[word.symbol], self.cost(word.symbol, word.price, word.quantity)
        rates = (MAKER, TAKER) if word.maker == "buyer" else (TAKER, MAKER)
        spent, fees = self.part(buys, word.quantity), [cost * rate // 10**6 for rate in rates]
        for order, taken, asset in ((buys, spent, pair.quote), (sells, word.quantity, pair.base)):
            order[4], order[5] = order[4] - word.quantity, order[5] - taken
            self.locked[order[0], asset] -= taken
        self.available[word.buyer, pair.quote] += spent - cost - fees[0]
        self.available[word.buyer, pair.base] += word.quantity
        self.available[word.seller, pair.quote] += cost - fees[1]
        for name, order in ((word.buy_order_id, buys), (word.sell_order_id, sells)):
            if not order[4]:
                del self.orders[name]

    def money(self, word: CustomerFlow) -> bool:
        """Money comes, goes, is taken, or moves."""
        key = word.customer, word.asset
        if word.kind == "deposit":
            repaid = min(self.debt[key], word.amount)
            self.debt[key] -= repaid
            self.available[key] += word.amount - repaid
        elif word.kind == "debit":
            owed = max(0, word.amount - self.available[key])
            self.debt[key] += owed
            self.available[key] -= word.amount - owed
        elif any(n for (one, _), n in self.debt.items() if one == word.customer) or self.available[key] < word.amount:
            return False
        else:
            self.available[key] -= word.amount
            self.available[word.to or "outside", word.asset] += word.amount
        return True
