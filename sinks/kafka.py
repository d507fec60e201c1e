"""Kafka as a sink: a batch is delivered, or the flow stops and replays.

The built-in sink reports success when nothing was delivered. This one hears of every failed delivery, raises on the first
failure, and waits for all of them before an epoch may end, since `snapshot` is part of the recovery barrier.
"""

from typing import Any

from bytewax.outputs import FixedPartitionedSink, StatefulSinkPartition
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as KafkaMessage

from domain.errors import AwayError, BallastError
from domain.streams.records import Outgoing

DELIVERY_TIMEOUT_SECONDS = 120.0
ERRORS_ONLY = {"delivery.report.only.error": True}  # a report per message would cost as much as sending it
MESSAGE_BYTES_MAX = 4 * 1024 * 1024  # a quarantined message of 1 MiB, in base64


class DeliveryError(BallastError):
    """The broker did not take a message; after a restart it is produced again."""


class KafkaSink(FixedPartitionedSink[Outgoing, None]):
    """Produces to any topic; `options` go to librdkafka as they are. One producer, so that order is kept per partition."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = options

    def list_parts(self) -> list[str]:
        return ["producer-0"]

    def build_part(self, step_id: str, for_part: str, resume_state: None) -> "_Producing":
        return _Producing(self._options)


class _Producing(StatefulSinkPartition[Outgoing, None]):
    def __init__(self, options: dict[str, Any]) -> None:
        self._failed: KafkaError | None = None
        self._producer = Producer(
            {"enable.idempotence": True, "linger.ms": 2, "message.max.bytes": MESSAGE_BYTES_MAX, **ERRORS_ONLY, **options}
        )

    def _reported(self, error: KafkaError | None, _message: KafkaMessage) -> None:
        if error is not None and self._failed is None:
            self._failed = error

    def write_batch(self, values: list[Outgoing]) -> None:
        produce, reported = self._producer.produce, self._reported
        for topic, _at_ms, key, value in values:
            try:
                produce(topic, value, key, on_delivery=reported)
            except (BufferError, KafkaException):
                self._produce(topic, key, value)
        self._producer.poll(0)
        self._raise_if_failed()

    def _produce(self, topic: str, key: bytes | None, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(topic, value, key, on_delivery=self._reported)
            except BufferError:
                self._producer.poll(0.05)
                self._raise_if_failed()
            except KafkaException as error:
                self._failed = self._failed or error.args[0]
                self._raise_if_failed()
            else:
                return

    def _raise_if_failed(self) -> None:
        if self._failed is not None:
            msg = f"the broker did not take a message: {self._failed.str()}"
            # Everything that passes by itself was tried again by librdkafka until the time for it was over.
            raise AwayError(msg, "Kafka") if self._failed.code() == KafkaError._MSG_TIMED_OUT else DeliveryError(msg)

    def snapshot(self) -> None:
        self._flush()

    def _flush(self) -> None:
        left = self._producer.flush(DELIVERY_TIMEOUT_SECONDS)
        self._raise_if_failed()
        if left:
            msg = f"{left} messages were not taken by the broker within {DELIVERY_TIMEOUT_SECONDS:.0f} s; is it up?"
            raise AwayError(msg, "Kafka")

    def close(self) -> None:
        """At a clean end the last snapshot has delivered everything; after an error nothing may be raised here, since the
        engine would abort the process in the middle of its cleaning up."""
        self._producer.purge()
