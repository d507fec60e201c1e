"""Simulated customers who bring money into the buffers and take it out, seeded: a tide that drains one buffer after the other.

Each buffer in turn loses about what it has over its minimum, while the others are filled; so within a turn of the tide every
buffer falls under its minimum once, and something must be converted. What customers do is told on `treasury.flows`, some of it
with a moment's delay and now and then not readable at all.
"""

import threading
import time
from collections.abc import Iterator
from typing import NamedTuple, Self

from confluent_kafka import Producer

from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings, client_options
from domain.messages.provider import ProviderConfig
from domain.messages.treasury import BufferFlow, BufferName, BufferThresholds
from domain.simulated.exchange import draw
from domain.topics import PROVIDER_CONFIG, TREASURY_FLOWS, TREASURY_THRESHOLDS
from domain.treasury.worth import BUFFERS, CURRENCY_OF, MICROS_PER_UNIT
from operators.streams.publish import encode

STOP_FLUSH_SECONDS = 10.0
TURN_SECONDS = 18.0
"""So long the tide takes one buffer out."""
FLOWS_PER_SECOND = 8.0
GARBAGE = b'{"id":"x","buffer":"system_buffer_usdc","amount":0}'
GARBAGE_PER_THOUSAND = 5

DOLLARS: dict[BufferName, tuple[int, int, int, int]] = {
    "system_buffer_usdc": (10_000, 50_000, 100_000, 20_000),
    "system_buffer_fiat": (20_000, 100_000, 200_000, 50_000),
    "broker_operational": (50_000, 200_000, 500_000, 100_000),
}
"""The document's thresholds: minimum, target, maximum and batch, in dollars."""

OPENING: dict[BufferName, int] = {"system_buffer_usdc": 60_000, "system_buffer_fiat": 150_000, "broker_operational": 210_000}
TIDES: tuple[dict[BufferName, int], ...] = (
    {"broker_operational": -10_500, "system_buffer_usdc": 2_500, "system_buffer_fiat": 3_000},
    {"system_buffer_usdc": -3_200, "system_buffer_fiat": 3_500, "broker_operational": 3_000},
    {"system_buffer_fiat": -9_000, "broker_operational": 5_000, "system_buffer_usdc": 1_500},
)
"""What flows in a second while each tide lasts, in dollars; the first buffer of each is the one that it takes out."""
DELAYS_MS = (0, 0, 0, 40, 300)


class Moved(NamedTuple):
    """A flow of a customer: dollars into a buffer, or out of it with a minus, `delay_ms` before it is told."""

    buffer: BufferName
    cents: int
    delay_ms: int


class Customers:
    """What customers do, by seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._beat = 0

    def moves(self, second: float) -> Iterator[Moved]:
        """Yield the flows of one beat, of which there are `FLOWS_PER_SECOND` in a second, at so many seconds from the start."""
        self._beat += 1
        for buffer, dollars in TIDES[int(second / TURN_SECONDS) % len(TIDES)].items():
            mean_cents = int(abs(dollars) * 100 / FLOWS_PER_SECOND)
            cents = mean_cents // 2 + draw(self._seed, mean_cents, "amount", f"{self._beat} {buffer}")
            delay_ms = DELAYS_MS[draw(self._seed, len(DELAYS_MS), "delay", f"{self._beat} {buffer}")]
            yield Moved(buffer, cents if dollars > 0 else -cents, delay_ms)

    def is_garbled(self) -> bool:
        """Return whether something comes in this beat that nobody can read."""
        return draw(self._seed, 1000, "garbled", str(self._beat)) < GARBAGE_PER_THOUSAND


def opening(run: str, at_ms: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield the topic, key and value of each message that a treasury begins with: thresholds, and money of our own."""
    for buffer in BUFFERS:
        low, target, high, batch = (_units(buffer, dollars * 100) for dollars in DOLLARS[buffer])
        said = {
            "min": low,
            "target": target,
            "max": high,
            "batch": batch,
            "by": "demo",
            "reason": "the document's thresholds",
        }
        limits = BufferThresholds(buffer=buffer, as_of=at_ms, **said)  # type: ignore[arg-type]
        yield TREASURY_THRESHOLDS.name, buffer.encode(), encode(limits)
        funded = BufferFlow(
            id=f"{run} {buffer}"[:64],
            buffer=buffer,
            amount=_units(buffer, OPENING[buffer] * 100),
            cause="funding",
            effective_at=at_ms,
        )
        yield TREASURY_FLOWS.name, buffer.encode(), encode(funded)


def _units(buffer: BufferName, cents: int) -> int:
    return cents * 10_000 // MICROS_PER_UNIT[CURRENCY_OF[buffer]]


class CustomersThread(threading.Thread):
    """Types what customers do into Kafka for as long as its block lasts, after the treasury's first words."""

    def __init__(self, kafka: KafkaSettings, seed: int, providers: list[ProviderConfig]) -> None:
        super().__init__(name="customers", daemon=True)
        self._customers = Customers(seed)
        self._run = f"{now_ms():x}"
        self._producer = Producer(client_options(kafka) | {"linger.ms": 2})
        self._providers = providers
        self._closing = threading.Event()
        self._count = 0

    def __enter__(self) -> Self:
        for topic, key, value in opening(self._run, now_ms()):
            self._producer.produce(topic, value, key)
        for config in self._providers:
            self._producer.produce(PROVIDER_CONFIG.name, encode(config), config.provider.encode())
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.join()
        self._producer.flush(STOP_FLUSH_SECONDS)

    def undelivered(self) -> int:
        """Return how many messages the broker has not taken yet."""
        return self._producer.flush(0)

    def run(self) -> None:
        """Bring and take until the block ends."""
        start = time.monotonic()
        while not self._closing.wait(1 / FLOWS_PER_SECOND):
            for moved in self._customers.moves(time.monotonic() - start):
                self._tell(moved)
            if self._customers.is_garbled():
                self._producer.produce(TREASURY_FLOWS.name, GARBAGE)
            self._producer.poll(0)

    def _tell(self, moved: Moved) -> None:
        self._count += 1
        flow = BufferFlow(
            id=f"{self._run}-{self._count:07d}",
            buffer=moved.buffer,
            amount=_units(moved.buffer, moved.cents),
            cause="deposit" if moved.cents > 0 else "withdrawal",
            effective_at=now_ms() - moved.delay_ms,
        )
        self._producer.produce(TREASURY_FLOWS.name, encode(flow), moved.buffer.encode())
