"""Kafka for who has to know that a message is there before going on: a delivery ends when the broker has acknowledged it.

librdkafka tries again what passes by itself, for as long as `timeout_ms` says. A delivery that came to nothing was not
acknowledged; whether the broker has the message all the same, nobody can know, so whoever sent it sends it again.
"""

import asyncio
from contextlib import suppress
from threading import Event, Thread
from types import TracebackType
from typing import Self

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from connectors.kafka.source import KafkaSettings, client_options

POLL_SECONDS = 0.05
STOP_SECONDS = 5.0


class Delivery:
    """Delivers single messages from an event loop, many at a time; a thread of its own hears the acknowledgements."""

    def __init__(self, kafka: KafkaSettings, timeout_ms: int) -> None:
        own = {"enable.idempotence": True, "acks": "all", "linger.ms": 2, "message.timeout.ms": timeout_ms}
        self._producer = Producer(client_options(kafka) | own | {"message.max.bytes": 1024 * 1024})
        self._stopping = Event()
        self._hearing = Thread(target=self._hear, name="deliveries", daemon=True)

    async def deliver(self, topic: str, key: bytes | None, value: bytes) -> bool:
        """Return whether the broker has acknowledged the message."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()

        def reported(error: KafkaError | None, _message: KafkaMessage) -> None:
            with suppress(RuntimeError):  # the loop has ended, and with it whoever waited
                loop.call_soon_threadsafe(_settle, done, error is None)

        try:
            self._producer.produce(topic, value, key, on_delivery=reported)
        except (BufferError, KafkaException):
            return False
        return bool(await done)

    def _hear(self) -> None:
        while not self._stopping.is_set():
            self._producer.poll(POLL_SECONDS)

    def __enter__(self) -> Self:
        self._hearing.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Give what is on its way a moment to leave; nobody is told of it any more."""
        self._stopping.set()
        self._hearing.join()
        self._producer.purge(in_queue=True, in_flight=False)
        self._producer.flush(STOP_SECONDS)


def _settle(done: "asyncio.Future[bool]", is_there: bool) -> None:
    if not done.done():
        done.set_result(is_there)
