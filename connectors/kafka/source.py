"""Kafka as a source: our own, since the built-in one skips silently to the end when its offset has been retained away.

The source is split into a fixed number of *lanes*; a lane is one consumer over its share of all partitions, and its place
in each of them is its snapshot. It never blocks the worker, and hands on all partitions side by side (`lane.py`). A partition
that has been read to its end and stays silent goes on telling time: its watermark follows the clock, less a slack for what is
still on its way, so idle streams never stall live ones. Places are also committed to a consumer group, for Kafka's own tools
to show the lag.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zlib import crc32

from bytewax.inputs import FixedPartitionedSource, StatefulSourcePartition
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from connectors.clock import Clock
from connectors.kafka.lane import Horizon, Place
from domain.errors import AwayError, ConfigError
from domain.streams.records import RawBatch, RawMessage, new, source_name

IDLE = timedelta(milliseconds=5)
SLACK_MS = 25
METADATA_TIMEOUT_SECONDS = 60.0
ASK_SECONDS = 0.5
WITHOUT_LEADER = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}
"""What is answered of a partition that was created, until all of the broker knows of it."""


AWAY = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._MSG_TIMED_OUT,
    KafkaError._RESOLVE,
    KafkaError._TIMED_OUT,
    KafkaError._TRANSPORT,
    KafkaError.BROKER_NOT_AVAILABLE,
    KafkaError.NETWORK_EXCEPTION,
    KafkaError.REQUEST_TIMED_OUT,
    *WITHOUT_LEADER,
}
"""What is said of a broker that does not answer, or is not yet what it was after a start."""


class KafkaSettings(NamedTuple):
    """Where the broker is and what else librdkafka should be told; `group` is the name under which lag is shown."""

    bootstrap: str
    group: str = "ballast"
    options: dict[str, str] = {}  # noqa: RUF012 - never written to


def client_options(kafka: KafkaSettings) -> dict[str, Any]:
    """Options of every client: where, how, and no noise on standard error when a connection comes and goes."""
    return {"bootstrap.servers": kafka.bootstrap, "log_level": 2, "log.connection.close": False, **kafka.options}


def lane_of(topic: str, partition: int, lanes: int) -> int:
    """Return who reads a partition: by its name, so that a partition that comes moves no other to another lane."""
    return crc32(source_name(topic, partition).encode()) % lanes


def list_partitions(kafka: KafkaSettings, topics: Sequence[str], *, waits: bool = True) -> list[tuple[str, int]]:
    """Every partition of the topics; ConfigError names a topic that is not there, or a broker that does not answer."""
    found = broker_topics(kafka, waits=waits)
    for topic in topics:
        if topic not in found:
            msg = f"the topic {topic} is not on the broker at {kafka.bootstrap}; create it with: ballast migrate"
            raise ConfigError(msg)
    return [(topic, partition) for topic in topics for partition in range(found[topic])]


def broker_topics(kafka: KafkaSettings, *, waits: bool = True) -> dict[str, int]:
    """Return topic name to number of partitions, as the broker lists them; ConfigError when it does not answer.

    A broker that refuses connections may be about to start: it is waited for as long as one that is slow, unless `waits` is
    false.
    """
    errors: list[KafkaError] = []
    admin = AdminClient(client_options(kafka) | {"error_cb": errors.append})
    deadline = time.monotonic() + METADATA_TIMEOUT_SECONDS
    while True:
        try:
            # Asking for all topics creates none; asking for one by name can.
            topics = admin.list_topics(timeout=ASK_SECONDS).topics
        except KafkaException as error:
            admin.poll(0)
            is_refused = any(one.code() == KafkaError._ALL_BROKERS_DOWN for one in errors)
            if time.monotonic() > deadline or (is_refused and not waits):
                msg = (
                    f"no Kafka broker answers at {kafka.bootstrap} ({error.args[0].str()}); start it or set kafka.bootstrap"
                )
                raise AwayError(msg, "Kafka") from error
        else:
            return {name: len(topic.partitions) for name, topic in topics.items()}


def span_of(consumer: Consumer, topic: str, partition: int) -> tuple[int, int]:
    """Return the first offset of a partition and the one after its last; a partition that was made just now is waited for."""
    deadline = time.monotonic() + METADATA_TIMEOUT_SECONDS
    while True:
        try:
            return consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=METADATA_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() not in WITHOUT_LEADER or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


class Pace(NamedTuple):
    """How many messages a batch has at most, and how long to rest after one that has fewer than enough."""

    batch_size: int
    enough: int
    rest: timedelta

    @property
    def fetching(self) -> dict[str, int]:
        """How long a broker waits until it has more to give; one that is asked a hundred times a second works for that alone."""
        soon, in_peace = {"fetch.wait.max.ms": 10}, {"fetch.wait.max.ms": 500, "fetch.min.bytes": 1024 * 1024}
        return soon if self.enough == 1 else in_peace


class KafkaSource(FixedPartitionedSource[RawBatch, dict[str, int]]):
    """Reads `partitions` in `lanes`; `watch` is called before each batch, and raises when there is no reading on.

    Where no state was saved a lane begins at `places`, by `topic/partition`, or else at what the broker has first. After a batch
    of fewer than `enough` messages it rests: many small batches cost more than a few large ones.
    """

    def __init__(
        self,
        kafka: KafkaSettings,
        partitions: Sequence[tuple[str, int]],
        clock: Clock,
        stopping: Callable[[], bool] = lambda: False,
        lanes: int = 1,
        batch_size: int = 4096,
        watch: Callable[[], None] = lambda: None,
        places: Mapping[str, int] = {},
        rest: timedelta = IDLE,
        enough: int = 1,
    ) -> None:
        self._kafka = kafka
        self._pace = Pace(batch_size, enough, rest)
        self._places = places
        self._partitions = partitions
        self._clock = clock
        self._stopping = stopping
        self._lanes = lanes
        self._watch = watch

    def list_parts(self) -> list[str]:
        return [f"lane-{lane}" for lane in range(self._lanes)]

    def build_part(self, step_id: str, for_part: str, resume_state: dict[str, int] | None) -> "_Lane":
        lane = int(for_part.removeprefix("lane-"))
        mine = [pair for pair in self._partitions if lane_of(*pair, self._lanes) == lane]
        return _Lane(self._kafka, mine, resume_state or self._places, self._clock, self._stopping, self._pace, self._watch)


class _Lane(StatefulSourcePartition[RawBatch, dict[str, int]]):
    def __init__(
        self,
        kafka: KafkaSettings,
        partitions: Sequence[tuple[str, int]],
        resume: Mapping[str, int],
        clock: Clock,
        stopping: Callable[[], bool],
        pace: Pace,
        watch: Callable[[], None],
    ) -> None:
        self._watch = watch
        self._clock = clock
        self._stopping = stopping
        self._pace = pace
        self._awake: datetime | None = None
        self._horizon = Horizon()
        self._consumer = Consumer(
            client_options(kafka)
            | {
                "group.id": kafka.group,
                "enable.auto.commit": False,
                "auto.offset.reset": "error",
                "enable.partition.eof": True,
                **pace.fetching,
                "queued.max.messages.kbytes": 65536,
            }
        )
        self._places: dict[tuple[str | None, int | None], Place] = {
            (t, p): Place(t, p, resume.get(source_name(t, p), 0)) for t, p in partitions
        }
        for place in self._places.values():
            self._check_offset(place, source_name(place.topic, place.partition) in resume)
        self._consumer.assign([TopicPartition(p.topic, p.partition, p.next_offset) for p in self._places.values()])

    def _check_offset(self, place: Place, resumed: bool) -> None:
        low, _ = span_of(self._consumer, place.topic, place.partition)
        if not resumed:
            place.next_offset = low
        elif place.next_offset < low:
            raise ConfigError(
                _gap(place.topic, place.partition, f"was read to {place.next_offset}, the broker has it from {low}")
            )

    def next_batch(self) -> Iterable[RawBatch]:
        if self._stopping():
            raise StopIteration
        self._watch()
        now_ms = self._clock()
        messages = self._consumer.consume(self._pace.batch_size, 0)
        for message in messages:
            error = message.error()
            if error is None:
                self._places[message.topic(), message.partition()].read(_raw(message, now_ms))
            else:
                self._take_error(error, message)
        self._hold_back()
        batches = self._horizon.advance(self._places.values(), now_ms - SLACK_MS)
        is_enough = len(messages) >= self._pace.enough
        self._awake = None if is_enough else datetime.now(UTC) + self._pace.rest  # noqa: TID251 - Bytewax wants system time
        return batches

    def _take_error(self, error: KafkaError, message: KafkaMessage) -> None:
        place = self._places[message.topic(), message.partition()]
        if error.code() == KafkaError._PARTITION_EOF:
            place.reach_end(int(message.offset() or 0))
        elif error.code() == KafkaError._AUTO_OFFSET_RESET:
            raise ConfigError(_gap(place.topic, place.partition, f"has no offset {place.next_offset} any more, or not yet"))
        elif not error.retriable() and error.code() not in AWAY:
            msg = f"reading {place.topic}[{place.partition}] failed: {error.str()}"
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
        "Restore the topic, or accept the gap by starting over an empty recovery folder (an archive: another folder)"
    )


def _raw(message: KafkaMessage, now_ms: int) -> RawMessage:
    at_ms = message.timestamp()[1]
    if not 0 <= at_ms <= now_ms:
        # Producers may stamp what they like; nothing can have entered its topic in the future, or before time began.
        at_ms = max(0, min(at_ms, now_ms))
    return new(RawMessage, (message.offset(), at_ms, message.key(), message.value() or b""))
