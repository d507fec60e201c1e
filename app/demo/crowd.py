"""The simulated users at work: a thread that trades at the market's price and types their legs into Kafka."""

import heapq
import threading
import time
from decimal import Decimal
from typing import Self

from confluent_kafka import Consumer, Producer, TopicPartition

from app.demo.users import Crowd, Users
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings, client_options, span_of
from domain.messages.market import Tick
from domain.topics import DEALER_TRANSACTIONS, MARKET_TICKS

STOP_FLUSH_SECONDS = 10.0


class CrowdThread(threading.Thread):
    """Trades for as long as its block lasts, then hands over what is still on its way."""

    def __init__(self, kafka: KafkaSettings, seed: int, trades_per_second: float, crowd: Crowd | None = None) -> None:
        super().__init__(name="crowd", daemon=True)
        self._users = Users(crowd or Crowd(seed), f"{now_ms():x}")
        self._interval_seconds = 1 / trades_per_second if trades_per_second > 0 else float("inf")
        self._producer = Producer(client_options(kafka) | {"linger.ms": 2})
        self._consumer = Consumer(client_options(kafka) | {"group.id": "ballast-crowd", "fetch.wait.max.ms": 10})
        self._price_usd: Decimal | None = None
        self._due: list[tuple[float, int, bytes]] = []
        self._count = 0
        self._closing = threading.Event()
        self._consumer.assign([TopicPartition(MARKET_TICKS.name, 0, self._newest_tick_offset())])

    def _newest_tick_offset(self) -> int:
        _, high = span_of(self._consumer, MARKET_TICKS.name, 0)
        return max(0, int(high) - 1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.join()
        for line in sorted(self._due):
            self._type(line[2])
        self._producer.flush(STOP_FLUSH_SECONDS)
        self._consumer.close()

    def undelivered(self) -> int:
        """Return how many messages the broker has not taken yet; asked after the block has ended, it goes on sending them."""
        return self._producer.flush(0)

    def run(self) -> None:
        """Trade until the block ends."""
        next_trade = time.monotonic()
        while not self._closing.is_set():
            self._hear_price()
            now = time.monotonic()
            while next_trade <= now:
                next_trade += self._interval_seconds
                self._trade(now)
            self._type_due(now)
            self._closing.wait(0.002)

    def _hear_price(self) -> None:
        for message in self._consumer.consume(1000, 0):
            value = message.value()
            if message.error() is None and isinstance(value, bytes):
                self._price_usd = Tick.model_validate_json(value).price_usd

    def _trade(self, now: float) -> None:
        if self._price_usd is None:
            return
        for line in self._users.trade(now_ms(), self._price_usd):
            self._count += 1
            heapq.heappush(self._due, (now + line.delay_ms / 1000, self._count, line.value))

    def _type_due(self, now: float) -> None:
        while self._due and self._due[0][0] <= now:
            self._type(heapq.heappop(self._due)[2])
        self._producer.poll(0)

    def _type(self, value: bytes) -> None:
        self._producer.produce(DEALER_TRANSACTIONS.name, value)
