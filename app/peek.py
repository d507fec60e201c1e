"""Looks into topics without being part of a flow: how much there is, the newest message, everything from the start."""

import json
from collections.abc import Iterator
from typing import Any

from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.kafka import METADATA_TIMEOUT_SECONDS, KafkaSettings, broker_topics, client_options
from domain.errors import ConfigError
from domain.streams import RawMessage
from domain.topics import BY_NAME

Partition = tuple[str, int]


class Peek:
    """A consumer of its own; close it when done."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._consumer = Consumer(
            client_options(kafka)
            | {"group.id": "ballast-peek", "enable.auto.commit": False, "enable.partition.eof": True}
            | {"auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
        )

    def partitions(self) -> list[Partition]:
        """Every partition of Ballast's topics that the broker has."""
        there = broker_topics(self._kafka)
        return [(name, partition) for name in BY_NAME if name in there for partition in range(there[name])]

    def ends(self) -> dict[Partition, int]:
        """The offset after the last message, by partition."""
        return {key: self._range(key)[1] for key in self.partitions()}

    def counts(self) -> dict[str, int]:
        """How many messages there are, by topic."""
        counts: dict[str, int] = {}
        for topic, partition in self.partitions():
            low, high = self._range((topic, partition))
            counts[topic] = counts.get(topic, 0) + high - low
        return counts

    def newest(self, topic: str) -> dict[str, Any] | None:
        """The newest message of a topic with one partition, as JSON; None when there is none that can be read."""
        low, high = self._range((topic, 0))
        if high <= low:
            return None
        for _, message in self._read([(topic, 0)], {(topic, 0): high - 1}):
            try:
                parsed: dict[str, Any] = json.loads(message.value)
            except ValueError:
                return None
            return parsed
        return None

    def everything(self, topic: str) -> Iterator[tuple[Partition, RawMessage]]:
        """Every message of a topic up to its present end."""
        mine = [key for key in self.partitions() if key[0] == topic]
        return self._read(mine, {key: self._range(key)[0] for key in mine})

    def _range(self, key: Partition) -> tuple[int, int]:
        low, high = self._consumer.get_watermark_offsets(TopicPartition(*key), timeout=METADATA_TIMEOUT_SECONDS)
        return low, high

    def _read(self, keys: list[Partition], start: dict[Partition, int]) -> Iterator[tuple[Partition, RawMessage]]:
        open_keys = {key for key in keys if start[key] < self._range(key)[1]}
        self._consumer.assign([TopicPartition(*key, start[key]) for key in sorted(open_keys)])
        while open_keys:
            for message in self._consumer.consume(2000, 0.02):
                key, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if error is None:
                    value, name = message.value() or b"", message.key()
                    yield key, RawMessage(int(message.offset() or 0), message.timestamp()[1], _bytes(name), _bytes(value) or b"")
                elif error.code() == KafkaError._PARTITION_EOF:
                    open_keys.discard(key)
                elif not error.retriable():
                    msg = f"reading {key[0]} failed: {error.str()}"
                    raise ConfigError(msg)

    def close(self) -> None:
        """Give the consumer back."""
        self._consumer.close()


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
