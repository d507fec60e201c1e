"""Kafka as a source: our own, since the built-in one skips silently to the end when its offset has been retained away.

The source is split into a fixed number of *lanes*; a lane is one consumer over its share of all partitions, and its place
in each of them is its snapshot. It never blocks the worker, and hands on all partitions side by side (`lane.py`). A partition
that has been read to its end and stays silent goes on telling time: its watermark follows the clock, less a slack for what is
still on its way, so idle streams never stall live ones. Places are also committed to a consumer group, for Kafka's own tools
to show the lag.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from connectors.clock import Clock
from connectors.lane import Horizon, Place
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
    return {"bootstrap.servers": kafka.bootstrap, "log_level": 2, "log.connection.close": False, **kafka.options}


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

    def build_part(self, step_id: str, for_part: str, resume_state: dict[str, int] | None) -> "_Lane":
        lane = int(for_part.removeprefix("lane-"))
        mine = [pair for index, pair in enumerate(self._partitions) if index % self._lanes == lane]
        return _Lane(self._kafka, mine, resume_state or {}, self._clock, self._stopping, self._batch_size)


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
        self._horizon = Horizon()
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
        self._places = {(t, p): Place(t, p, resume.get(source_name(t, p), 0)) for t, p in partitions}
        for place in self._places.values():
            self._check_offset(place, source_name(place.topic, place.partition) in resume)
        self._consumer.assign([TopicPartition(p.topic, p.partition, p.next_offset) for p in self._places.values()])

    def _check_offset(self, place: Place, resumed: bool) -> None:
        low, _ = self._consumer.get_watermark_offsets(
            TopicPartition(place.topic, place.partition), timeout=METADATA_TIMEOUT_SECONDS
        )
        if not resumed:
            place.next_offset = low
        elif place.next_offset < low:
            raise ConfigError(
                _gap(place.topic, place.partition, f"was read to {place.next_offset}, the broker has it from {low}")
            )

    def next_batch(self) -> Iterable[RawBatch]:
        if self._stopping():
            raise StopIteration
        now_ms = self._clock()
        messages = self._consumer.consume(self._batch_size, 0)
        for message in messages:
            self._take(message, now_ms)
        self._hold_back()
        batches = self._horizon.advance(self._places.values(), now_ms - SLACK_MS)
        self._awake = None if messages else datetime.now(UTC) + IDLE  # noqa: TID251 - Bytewax wants system time
        return batches

    def _take(self, message: KafkaMessage, now_ms: int) -> None:
        error = message.error()
        key = (str(message.topic()), int(message.partition() or 0))
        if error is None:
            # Producers may stamp what they like; nothing can have entered its topic in the future, or before time began.
            at_ms = max(0, min(message.timestamp()[1], now_ms))
            raw = RawMessage(int(message.offset() or 0), at_ms, _bytes_or_none(message.key()), _bytes(message.value()))
            self._places[key].read(raw)
        elif error.code() == KafkaError._PARTITION_EOF:
            self._places[key].at_end = True
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise ConfigError(_gap(*key, f"has no offset {self._places[key].next_offset} any more, or not yet"))
        elif not error.retriable():
            msg = f"reading {key[0]}[{key[1]}] failed: {error.str()}"
            raise ConfigError(msg)

    def _hold_back(self) -> None:
        for place in self._places.values():
            if place.is_paused != place.is_ahead_of(self._horizon.at_ms):
                place.is_paused = not place.is_paused
                (self._consumer.pause if place.is_paused else self._consumer.resume)(
                    [TopicPartition(place.topic, place.partition)]
                )

    def next_awake(self) -> datetime | None:
        return self._awake

    def snapshot(self) -> dict[str, int]:
        places = [TopicPartition(place.topic, place.partition, place.next_offset) for place in self._places.values()]
        # For Kafka's own tools, which show lag by group; nothing is read back, so a commit that fails does no harm.
        self._consumer.commit(offsets=places, asynchronous=True)
        return {source_name(place.topic, place.partition): place.next_offset for place in self._places.values()}

    def close(self) -> None:
        self._consumer.close()


def _gap(topic: str, partition: int, what: str) -> str:
    return (
        f"{topic}[{partition}] {what}: messages were deleted before they were read, or the topic is a new one. "
        "Restore the topic, or accept the gap by starting over an empty recovery folder"
    )


def _bytes(value: bytes | str | None) -> bytes:
    return value if isinstance(value, bytes) else (value or "").encode()


def _bytes_or_none(value: bytes | str | None) -> bytes | None:
    return None if value is None else _bytes(value)
