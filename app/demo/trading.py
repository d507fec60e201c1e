"""The exchange of the demo, which matches what customers order, and the thread that plays both.

An order is matched when it is known to hold what it may cost: `settlement.results` says so. A hasty one is matched without
asking; when its lock was refused its trades are, too, and then both orders of such a trade end. Now and then a trade comes twice,
late, or is preceded by something that nobody can read.
"""

import heapq
import threading
import time
from collections.abc import Collection, Iterable, Iterator
from typing import Self

from confluent_kafka import Consumer, Producer, TopicPartition

from app.demo.traders import BEATS_PER_SECOND, Order, Traders
from app.reports.said import read_or_none
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings, client_options, span_of
from domain.messages.fields import Message
from domain.messages.settlement import MatchedTrade, OrderLock, SettlementResult
from domain.simulated.matching import Cancelled, Matching
from domain.topics import SETTLEMENT_RESULTS, TRADES_MATCHED
from operators.streams.publish import outgoing

STOP_FLUSH_SECONDS = 10.0
REST_SECONDS = 0.01
LATE_PER_THOUSAND, LATE_SECONDS = 8, 0.7
TWICE_PER_THOUSAND, TWICE_SECONDS = 15, 0.2
GARBAGE_PER_THOUSAND, GARBAGE = 3, b'{"symbol":"BTC_USDT","sequence":0}'


class Exchange:
    """The orders that are open, the books, and the trades of which nobody has said yet what became of them."""

    def __init__(self, run: str) -> None:
        self._matching = Matching(run=run)
        self._asked: dict[str, Order] = {}
        self._open: dict[str, Order] = {}
        self._matched: dict[str, MatchedTrade] = {}

    @property
    def open_orders(self) -> Collection[str]:
        """The ids of the orders whose lock is known to hold."""
        return self._open.keys()

    @property
    def awaited(self) -> int:
        """How many orders and trades there are of which nobody has said yet what became of them."""
        return len(self._asked) + len(self._matched)

    def take(self, order: Order, at_ms: int) -> Iterator[Message]:
        """Take an order: have locked what it may cost, and match it at once if it is hasty."""
        yield order.lock(at_ms)
        self._asked[order.order_id] = order
        if order.is_hasty:
            yield from self._place(order, at_ms)

    def hear(self, result: SettlementResult, at_ms: int) -> Iterator[Message]:
        """Go on after a word on a lock or a trade."""
        if result.kind == "lock" and (order := self._asked.pop(result.id, None)) is not None:
            yield from self._locked(order, result, at_ms)
        elif result.kind == "trade" and (trade := self._matched.pop(result.id, None)) is not None:
            yield from self._settled(trade, result, at_ms)

    def cancel(self, which: int, at_ms: int) -> Iterator[Message]:
        """End one of the open orders of which no trade is on its way."""
        moving = {id_ for trade in self._matched.values() for id_ in _orders_of(trade)}
        resting = [id_ for id_ in self._open if id_ not in moving]
        if resting:
            yield from self._end(resting[which % len(resting)], at_ms)

    def _locked(self, order: Order, result: SettlementResult, at_ms: int) -> Iterator[Message]:
        if result.outcome == "booked":
            self._open[order.order_id] = order
            if not order.is_hasty:
                yield from self._place(order, at_ms)
        elif order.is_hasty:
            # Its trades are refused one by one; of what rests nobody should get more.
            self._matching.cancel(order.order_id, order.symbol, order.side)

    def _settled(self, trade: MatchedTrade, result: SettlementResult, at_ms: int) -> Iterator[Message]:
        for order_id in _orders_of(trade):
            if result.outcome == "booked":
                self._fill(order_id, trade.quantity)
            else:
                yield from self._end(order_id, at_ms)

    def _fill(self, order_id: str, quantity: int) -> None:
        order = self._open.pop(order_id, None)
        if order is not None and order.quantity > quantity:
            self._open[order_id] = order._replace(quantity=order.quantity - quantity)

    def _place(self, order: Order, at_ms: int) -> Iterator[Message]:
        found = self._matching.place(
            order.order_id, order.customer, order.symbol, order.side, order.limit, order.quantity, at_ms
        )
        for word in found:
            if isinstance(word, Cancelled):
                yield from self._end(word.order_id, at_ms)
            else:
                self._matched[word.trade_id] = word
                yield word

    def _end(self, order_id: str, at_ms: int) -> Iterator[OrderLock]:
        order = self._open.pop(order_id, None)
        if order is not None:
            self._matching.cancel(order_id, order.symbol, order.side)
            yield order.unlock(at_ms)


def _orders_of(trade: MatchedTrade) -> tuple[str, str]:
    return trade.buy_order_id, trade.sell_order_id


class TradersThread(threading.Thread):
    """Orders, matches and tells of it until it is told to `rest`; from then on, and for as long as its block lasts, it hears what
    became of orders and trades, and goes on with those."""

    def __init__(self, kafka: KafkaSettings, seed: int) -> None:
        super().__init__(name="traders", daemon=True)
        run = f"{now_ms():x}"
        self._traders, self._exchange = Traders(seed, run), Exchange(run)
        self._producer = Producer(client_options(kafka) | {"linger.ms": 2})
        self._consumer = Consumer(client_options(kafka) | {"group.id": "ballast-traders", "fetch.wait.max.ms": 10})
        self._consumer.assign([TopicPartition(SETTLEMENT_RESULTS.name, 0, self._newest())])
        self._due: list[tuple[float, int, Message]] = []
        self._count = 0
        self._telling = threading.Lock()
        self._resting, self._closing = threading.Event(), threading.Event()

    def _newest(self) -> int:
        _, end = span_of(self._consumer, SETTLEMENT_RESULTS.name, 0)
        return int(end)

    def __enter__(self) -> Self:
        for message in self._traders.opening(now_ms()):
            self._type(message)
        self._producer.flush(STOP_FLUSH_SECONDS)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.join()
        self._producer.flush(STOP_FLUSH_SECONDS)
        self._consumer.close()

    def rest(self) -> None:
        """Order nothing more."""
        self._resting.set()

    def undelivered(self) -> int:
        """Return how many messages the broker has not taken yet, or nobody has answered, of orders and trades."""
        with self._telling:
            return self._producer.flush(0) + len(self._due) + self._exchange.awaited

    def run(self) -> None:
        """Trade until the block ends."""
        next_beat = time.monotonic()
        while not self._closing.wait(REST_SECONDS):
            now = time.monotonic()
            with self._telling:
                self._tell(self._heard())
                self._type_due(now)
                if now >= next_beat and not self._resting.is_set():
                    # A machine that is too busy has fewer beats, and no crowd of them afterwards.
                    next_beat = max(next_beat + 1 / BEATS_PER_SECOND, now - 1)
                    self._tell(self._beat())

    def _heard(self) -> Iterator[Message]:
        for message in self._consumer.consume(1000, 0):
            value = message.value()
            if message.error() is None and isinstance(value, bytes):
                result = read_or_none(SettlementResult, value)
                yield from () if result is None else self._exchange.hear(result, now_ms())

    def _beat(self) -> Iterator[Message]:
        yield from self._exchange.take(self._traders.beat(), now_ms())
        if (flow := self._traders.flow(now_ms())) is not None:
            yield flow
        if (which := self._traders.cancels()) is not None:
            yield from self._exchange.cancel(which, now_ms())
        if self._traders.lot(1000, "garbled") < GARBAGE_PER_THOUSAND:
            self._producer.produce(TRADES_MATCHED.name, GARBAGE, b"BTC_USDT")

    def _tell(self, messages: Iterable[Message]) -> None:
        for message in messages:
            lot = self._traders.lot(1000, f"told {self._count}") if isinstance(message, MatchedTrade) else 1000
            if lot < LATE_PER_THOUSAND:
                self._later(message, LATE_SECONDS)
            else:
                self._type(message)
            if LATE_PER_THOUSAND <= lot < LATE_PER_THOUSAND + TWICE_PER_THOUSAND:
                self._later(message, TWICE_SECONDS)

    def _later(self, message: Message, seconds: float) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, self._count, message))
        self._count += 1

    def _type_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            self._type(heapq.heappop(self._due)[2])
        self._producer.poll(0)

    def _type(self, message: Message) -> None:
        self._count += 1
        said = outgoing(message, 0)
        self._producer.produce(said.topic, said.value, said.key)
