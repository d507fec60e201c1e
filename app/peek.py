"""Looks into topics without being part of a flow: how much there is, the newest message, everything from the start."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from connectors.kafka import METADATA_TIMEOUT_SECONDS, KafkaSettings, broker_topics, client_options
from domain.errors import ConfigError
from domain.streams import RawMessage
from domain.topics import BY_NAME

Partition = tuple[str, int]
POLL_SECONDS = 0.02


class Tail(NamedTuple):
    """The end of a partition: how many messages it holds, and the newest of them."""

    messages: int
    newest: RawMessage | None


class Peek:
    """A consumer of its own; close it when done."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._consumer = Consumer(
            client_options(kafka)
            | {"group.id": "ballast-peek", "enable.auto.commit": False, "enable.partition.eof": True}
            | {"auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
        )

    def tails(self) -> dict[Partition, Tail]:
        """The end of every partition of Ballast's topics."""
        ranges = {key: self._range(key) for key in self._partitions(list(BY_NAME))}
        # The embedded broker reports the start of the last batch as the end, so the last batch is read to see.
        starts = {key: max(low, high - 1) for key, (low, high) in ranges.items()}
        newest = dict(self._read({key: start for key, start in starts.items() if ranges[key][1] > ranges[key][0]}))
        return {key: _tail(low, newest.get(key)) for key, (low, _) in ranges.items()}

    def everything(self, topic: str) -> Iterator[tuple[Partition, RawMessage]]:
        """Every message of a topic up to its present end."""
        starts = {key: self._range(key) for key in self._partitions([topic])}
        return self._read({key: low for key, (low, high) in starts.items() if high > low})

    def _partitions(self, topics: list[str]) -> list[Partition]:
        there = broker_topics(self._kafka)
        return [(name, partition) for name in topics if name in there for partition in range(there[name])]

    def _range(self, key: Partition) -> tuple[int, int]:
        try:
            low, high = self._consumer.get_watermark_offsets(TopicPartition(*key), timeout=METADATA_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise ConfigError(self._silent(key[0])) from error
        return low, high

    def _read(self, starts: Mapping[Partition, int]) -> Iterator[tuple[Partition, RawMessage]]:
        unread = set(starts)
        self._consumer.assign([TopicPartition(*key, start) for key, start in sorted(starts.items())])
        heard_at = time.monotonic()
        while unread:
            messages = self._consumer.consume(2000, POLL_SECONDS)
            heard_at = time.monotonic() if messages else heard_at
            if time.monotonic() - heard_at > METADATA_TIMEOUT_SECONDS:
                raise ConfigError(self._silent(min(unread)[0]))
            for message in messages:
                key, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if error is None:
                    yield key, _raw(message)
                elif error.code() == KafkaError._PARTITION_EOF:
                    unread.discard(key)
                elif not error.retriable():
                    msg = f"reading {key[0]} failed: {error.str()}"
                    raise ConfigError(msg)

    def _silent(self, topic: str) -> str:
        return f"the broker at {self._kafka.bootstrap} has stopped answering while {topic} was read; is it still up?"

    def close(self) -> None:
        """Give the consumer back."""
        self._consumer.close()


def newest_json(tails: Mapping[Partition, Tail], topic: str) -> dict[str, Any] | None:
    """The newest message of a topic with one partition; None when there is none that can be read."""
    tail = tails.get((topic, 0))
    if tail is None or tail.newest is None:
        return None
    try:
        parsed = json.loads(tail.newest.value)
    except ValueError:
        return None
    return parsed if isinstance(parsed, dict) else None


def counts(tails: Mapping[Partition, Tail]) -> dict[str, int]:
    """How many messages there are, by topic."""
    found: dict[str, int] = {}
    for (topic, _), tail in tails.items():
        found[topic] = found.get(topic, 0) + tail.messages
    return {topic: count for topic, count in found.items() if count}


def _tail(low: int, newest: RawMessage | None) -> Tail:
    return Tail(newest.offset + 1 - low if newest else 0, newest)


def _raw(message: KafkaMessage) -> RawMessage:
    return RawMessage(
        int(message.offset() or 0), message.timestamp()[1], _bytes(message.key()), _bytes(message.value()) or b""
    )


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
