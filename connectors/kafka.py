"""Kafka as a source: our own, since the built-in one skips silently to the end when its offset has been retained away.

The source is split into a fixed number of *lanes*; a lane is one consumer over its share of all partitions, and its place in
each of them is its snapshot. It never blocks the worker. A partition that has been read to its end and stays silent goes on
telling time: its watermark follows the clock, less a slack for what is still on its way, so idle streams never stall live
ones. Offsets are also committed to a consumer group, for Kafka's own tools to show the lag; nothing is read back from it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from connectors.clock import Clock
from domain.errors import ConfigError
from domain.streams import RawBatch, RawMessage, source_name

IDLE = timedelta(milliseconds=5)
SLACK_MS = 25
METADATA_TIMEOUT_SECONDS = 10.0


class KafkaSettings(NamedTuple):
    """Where the broker is and what else librdkafka should be told; `group` is the name under which lag is shown."""

    bootstrap: str
    group: str = "ballast"
    options: dict[str, str] = {}  # noqa: RUF012 - never written to


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options of every client: where, how, and no noise on standard error when a connection comes and goes."""
    return {"bootstrap.servers": kafka.bootstrap, "log_level": 3, "log.connection.close": False, **kafka.options}


def list_partitions(kafka: KafkaSettings, topics: Sequence[str]) -> list[tuple[str, int]]:
    """Every partition of the topics; ConfigError names a topic that is not there, or a broker that does not answer."""
    found = broker_topics(kafka)
    for topic in topics:
        if topic not in found:
            msg = f"the topic {topic} is not on the broker at {kafka.bootstrap}; create it with: ballast migrate"
            raise ConfigError(msg)
    return [(topic, partition) for topic in topics for partition in range(found[topic])]


def broker_topics(kafka: KafkaSettings) -> dict[str, int]:
    """Topic name to number of partitions, as the broker lists them."""
    try:
        # Asking for all topics creates none; asking for one by name can.
        metadata = AdminClient(client_options(kafka)).list_topics(timeout=METADATA_TIMEOUT_SECONDS)
    except KafkaException as error:
        msg = f"no Kafka broker answers at {kafka.bootstrap} ({error.args[0].str()}); start it or set kafka.bootstrap"
        raise ConfigError(msg) from error
    return {name: len(topic.partitions) for name, topic in metadata.topics.items()}


class KafkaSource(FixedPartitionedSource[RawBatch, dict[str, int]]):
    """Reads `partitions` in `lanes`; `until_end` stops at the present end of each instead of waiting for more."""

    def __init__(
        self,
        kafka: KafkaSettings,
        partitions: Sequence[tuple[str, int]],
        clock: Clock,
        stopping: Callable[[], bool] = lambda: False,
        lanes: int = 1,
        batch_size: int = 4096,
    ) -> None:
        self._kafka = kafka
        self._partitions = partitions
        self._clock = clock
        self._stopping = stopping
        self._lanes = lanes
        self._batch_size = batch_size

    def list_parts(self) -> list[str]:
        return [f"lane-{lane}" for lane in range(self._lanes)]

    def build_part(self, step_id: str, for_part: str, resume_state: dict[str, int] | None) -> "_Lane":  # noqa: ARG002
        lane = int(for_part.removeprefix("lane-"))
        mine = [pair for index, pair in enumerate(self._partitions) if index % self._lanes == lane]
        return _Lane(self._kafka, mine, resume_state or {}, self._clock, self._stopping, self._batch_size)


class _Place:
    """How far one partition has been read."""

    __slots__ = ("at_end", "next_offset", "partition", "topic", "watermark_ms")

    def __init__(self, topic: str, partition: int, next_offset: int) -> None:
        self.topic = topic
        self.partition = partition
        self.next_offset = next_offset
        self.watermark_ms = -1
        self.at_end = False


class _Lane(StatefulSourcePartition[RawBatch, dict[str, int]]):
    def __init__(
        self,
        kafka: KafkaSettings,
        partitions: Sequence[tuple[str, int]],
        resume: dict[str, int],
        clock: Clock,
        stopping: Callable[[], bool],
        batch_size: int,
    ) -> None:
        self._clock = clock
        self._stopping = stopping
        self._batch_size = batch_size
        self._awake: datetime | None = None
        self._consumer = Consumer(
            client_options(kafka)
            | {
                "group.id": kafka.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,
                "queued.max.messages.kbytes": 65536,
            }
        )
        self._places = {(t, p): _Place(t, p, resume.get(source_name(t, p), 0)) for t, p in partitions}
        for place in self._places.values():
            self._check_offset(place, source_name(place.topic, place.partition) in resume)
        self._consumer.assign([TopicPartition(p.topic, p.partition, p.next_offset) for p in self._places.values()])

    def _check_offset(self, place: _Place, resumed: bool) -> None:
        low, high = self._consumer.get_watermark_offsets(
            TopicPartition(place.topic, place.partition), timeout=METADATA_TIMEOUT_SECONDS
        )
        if not resumed:
            place.next_offset = low
        elif not low <= place.next_offset <= high:
            msg = (
                f"{place.topic}[{place.partition}] was read to offset {place.next_offset}, the broker has {low} to {high}: "
                "messages were deleted before they were read, or the topic is a new one. Restore the topic, or accept "
                "the gap by starting over an empty recovery folder"
            )
            raise ConfigError(msg)

    def next_batch(self) -> Iterable[RawBatch]:
        if self._stopping():
            raise StopIteration
        read: dict[tuple[str, int], list[RawMessage]] = {}
        for message in self._consumer.consume(self._batch_size, 0):
            self._take(message, read)
        self._awake = None if read else datetime.now(UTC) + IDLE  # noqa: TID251 - Bytewax wants system time
        return self._batches(read)

    def _take(self, message: KafkaMessage, read: dict[tuple[str, int], list[RawMessage]]) -> None:
        error = message.error()
        key = (str(message.topic()), int(message.partition() or 0))
        if error is None:
            self._places[key].at_end = False
            raw = RawMessage(
                int(message.offset() or 0), message.timestamp()[1], _bytes_or_none(message.key()), _bytes(message.value())
            )
            read.setdefault(key, []).append(raw)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._places[key].at_end = True
        elif not error.retriable():
            msg = f"reading {key[0]}[{key[1]}] failed: {error.str()}"
            raise ConfigError(msg)

    def _batches(self, read: dict[tuple[str, int], list[RawMessage]]) -> list[RawBatch]:
        heartbeat_ms = self._clock() - SLACK_MS
        batches = []
        for key, place in self._places.items():
            messages = read.get(key, [])
            watermark_ms = self._watermark(place, messages, heartbeat_ms)
            if messages or watermark_ms > place.watermark_ms:
                place.watermark_ms = watermark_ms
                batches.append(RawBatch(place.topic, place.partition, watermark_ms, messages))
        return batches

    @staticmethod
    def _watermark(place: _Place, messages: list[RawMessage], heartbeat_ms: int) -> int:
        watermark_ms = place.watermark_ms
        if messages:
            place.next_offset = messages[-1].offset + 1
            watermark_ms = max(watermark_ms, max(message.at_ms for message in messages))
        return max(watermark_ms, heartbeat_ms) if place.at_end else watermark_ms

    def next_awake(self) -> datetime | None:
        return self._awake

    def snapshot(self) -> dict[str, int]:
        return {source_name(place.topic, place.partition): place.next_offset for place in self._places.values()}

    def close(self) -> None:
        self._consumer.close()


def _bytes(value: bytes | str | None) -> bytes:
    return value if isinstance(value, bytes) else (value or "").encode()


def _bytes_or_none(value: bytes | str | None) -> bytes | None:
    return None if value is None else _bytes(value)
