"""Looks into topics without being part of a flow: how much there is, the newest message, everything from the start."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from typing import NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from connectors.kafka.source import METADATA_TIMEOUT_SECONDS, KafkaSettings, client_options, span_of
from domain.errors import AwayError, ConfigError
from domain.streams.records import RawMessage
from domain.topics import BY_NAME

Partition = tuple[str, int]
POLL_MESSAGES, POLL_SECONDS = 2000, 0.005

TAIL_MESSAGES = 64
"""So many messages at the end of a partition are looked at; several venues tell of themselves on one."""


class Tail(NamedTuple):
    """The end of a partition: how many messages it holds, and the newest of them, the very newest last.

    Before those that were looked at, offsets are counted instead of messages, since that takes no reading: with what was
    compacted, aborted, or is a marker of a transaction there, `messages` is the most that it can be. It never grows by a marker.
    """

    messages: int
    newest: Sequence[RawMessage]


class Span(NamedTuple):
    """Where a partition begins, and where it ends as the broker says."""

    first: int
    end: int


class _End:
    """Where to stop reading a partition to which messages are written meanwhile.

    The embedded broker reports the start of the last batch as the end. So what it reported first is read past until it
    reports another end, which cannot lie before the end of that batch, or until there is nothing more.
    """

    def __init__(self, reported: int) -> None:
        self._reported = reported
        self._next = 0
        self._last: int | None = None

    def is_reached(self, next_offset: int) -> bool:
        """Whether nothing from before the reading began can be left."""
        self._next = next_offset
        return self._last is not None and next_offset >= self._last

    @property
    def may_have_moved(self) -> bool:
        """Whether the broker should be asked for the end again."""
        return self._last is None and self._next >= self._reported

    def moved(self, reported: int) -> None:
        """Take what the broker reports now."""
        if reported > self._reported:
            self._last = reported


class Peek:
    """A consumer of its own; close it when done.

    What it reads ends where the topic ended when it was asked, also while messages come faster than they are read here.
    """

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._consumer = Consumer(
            client_options(kafka)
            | {"group.id": "ballast-peek", "enable.auto.commit": False, "enable.partition.eof": True}
            | {"auto.offset.reset": "earliest", "fetch.wait.max.ms": 10}
        )

    def tails(self, topics: Collection[str] = BY_NAME) -> dict[Partition, Tail]:
        """Return the end of every partition of the topics; those that are not there are left out."""
        spans = {key: self._span(key) for key in self._partitions(topics)}
        newest: dict[Partition, list[RawMessage]] = {key: [] for key in spans}
        for key, message in self._read({key: Span(span.first + _unseen(span), span.end) for key, span in spans.items()}):
            newest[key].append(message)
        return {key: Tail(_unseen(spans[key]) + len(found), found[-TAIL_MESSAGES:]) for key, found in newest.items()}

    def everything(self, topic: str) -> Iterator[tuple[Partition, RawMessage]]:
        """Return every message of a topic up to its present end."""
        return self._read({key: self._span(key) for key in self._partitions([topic])})

    def cluster_id(self) -> str | None:
        """Return the id of the cluster, None where the broker has none to tell."""
        try:
            return self._consumer.list_topics(timeout=METADATA_TIMEOUT_SECONDS).cluster_id or None
        except KafkaException as error:
            raise AwayError(self._silent("its id"), "Kafka") from error

    def _partitions(self, topics: Collection[str]) -> list[Partition]:
        try:
            there = self._consumer.list_topics(timeout=METADATA_TIMEOUT_SECONDS).topics
        except KafkaException as error:
            raise AwayError(self._silent("the list of topics"), "Kafka") from error
        return [(name, partition) for name in topics if name in there for partition in sorted(there[name].partitions)]

    def _span(self, key: Partition) -> Span:
        try:
            return Span(*span_of(self._consumer, *key))
        except KafkaException as error:
            raise AwayError(self._silent(key[0]), "Kafka") from error

    def _read(self, spans: Mapping[Partition, Span]) -> Iterator[tuple[Partition, RawMessage]]:
        unread = {key: _End(span.end) for key, span in spans.items() if span.end > span.first}
        self._consumer.assign([TopicPartition(*key, spans[key].first) for key in sorted(unread)])
        heard_at = time.monotonic()
        while unread:
            messages = self._consumer.consume(POLL_MESSAGES, POLL_SECONDS)
            heard_at = time.monotonic() if messages else heard_at
            if time.monotonic() - heard_at > METADATA_TIMEOUT_SECONDS:
                raise AwayError(self._silent(min(unread)[0]), "Kafka")
            for message in messages:
                key, error = (str(message.topic()), int(message.partition() or 0)), message.error()
                if key not in unread:
                    continue
                if error is None:
                    yield key, _raw(message)
                    if unread[key].is_reached(int(message.offset() or 0) + 1):
                        del unread[key]
                elif error.code() == KafkaError._PARTITION_EOF:
                    del unread[key]
                elif not error.retriable():
                    msg = f"reading {key[0]} failed: {error.str()}"
                    raise ConfigError(msg)
            for key in [key for key, end in unread.items() if end.may_have_moved]:
                unread[key].moved(self._span(key).end)

    def _silent(self, topic: str) -> str:
        return f"the broker at {self._kafka.bootstrap} has stopped answering while {topic} was read; is it still up?"

    def close(self) -> None:
        """Give the consumer back."""
        self._consumer.close()


def last_offsets(kafka: KafkaSettings, topics: Collection[str]) -> dict[Partition, int]:
    """Return the offset of the last message that each partition has now; of one that has none, nothing."""
    with closing(Peek(kafka)) as peek:
        return {key: tail.newest[-1].offset for key, tail in peek.tails(topics).items() if tail.newest}


def last_at_ms(kafka: KafkaSettings, topic: str) -> int:
    """Return when the last message of a topic came, by its partitions' last ones; 0 while it has none."""
    with closing(Peek(kafka)) as peek:
        return max((message.at_ms for tail in peek.tails([topic]).values() for message in tail.newest), default=0)


def counts(tails: Mapping[Partition, Tail]) -> dict[str, int]:
    """How many messages there are, by topic."""
    found: dict[str, int] = {}
    for (topic, _), tail in tails.items():
        found[topic] = found.get(topic, 0) + tail.messages
    return {topic: count for topic, count in found.items() if count}


def _unseen(span: Span) -> int:
    """How many offsets lie before the tail that is looked at."""
    return max(0, span.end - TAIL_MESSAGES - span.first)


def _raw(message: KafkaMessage) -> RawMessage:
    return RawMessage(
        int(message.offset() or 0), message.timestamp()[1], _bytes(message.key()), _bytes(message.value()) or b""
    )


def _bytes(value: bytes | str | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
