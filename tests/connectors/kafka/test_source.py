"""The Kafka source: every message once and in order, time on idle partitions, and one clear sentence when it cannot read."""

import time
from collections.abc import Callable, Sequence
from itertools import count as count_up
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from connectors.clock import now_ms
from connectors.embedded.processes import free_port
from connectors.kafka.source import (
    SLACK_MS,
    KafkaSettings,
    KafkaSource,
    broker_topics,
    client_options,
    lane_of,
    list_partitions,
)
from domain import topics
from domain.errors import ConfigError
from domain.pairing.effects import arrival_of
from domain.pairing.legs import leg_from
from domain.streams.records import RawBatch, RawMessage, Record, shard_names
from operators.streams import feeds
from operators.streams.feeds import Raw, read_as, together
from operators.streams.machines import Kind, machine
from operators.streams.publish import encode
from sinks.memory import ListSink
from tests.connectors.conftest import NewTopics, Produce, produce_to, unique_name
from tests.connectors.kafka.mock_kafka import MockKafka
from tests.waiting import PATIENCE_SECONDS, until
from tests.words import leg

pytestmark = pytest.mark.broker


def lane(
    kafka: KafkaSettings,
    partitions: Sequence[tuple[str, int]],
    resume: dict[str, int] | None = None,
    clock: Callable[[], int] = now_ms,
    **how: Any,
) -> Any:
    """The only lane of a source, as the engine would open it."""
    return KafkaSource(kafka, partitions, clock, **how).build_part("topics", "lane-0", resume)


def read(reading: Any, enough: Callable[[list[RawBatch]], bool]) -> list[RawBatch]:
    """Batches until there are enough of them."""
    batches: list[RawBatch] = []

    def is_enough() -> bool:
        if not enough(batches):
            batches.extend(reading.next_batch())
        return enough(batches)

    until(is_enough, f"more than {batches}", look_seconds=0.002)
    return batches


def count(number: int) -> Callable[[list[RawBatch]], bool]:
    """Whether so many messages have been read."""
    return lambda batches: sum(len(batch.messages) for batch in batches) >= number


def values(batches: list[RawBatch]) -> list[bytes]:
    """What was read, in order."""
    return [message.value for batch in batches for message in batch.messages]


def test_messages_come_once_and_in_order(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """Each partition is read from its beginning, in order, with keys, bytes and offsets."""
    topic = new_topic(2)
    now = now_ms()
    produce(topic, RawMessage(0, now - 5, b"k", b"a0"), RawMessage(1, now, None, b"\xff"))
    produce(topic, b"b0", partition=1)
    reading = lane(kafka, [(topic, 0), (topic, 1)])
    batches = read(reading, count(3))
    reading.close()
    by_partition = {p: [m for batch in batches if batch.partition == p for m in batch.messages] for p in (0, 1)}
    assert [(0, b"k", b"a0"), (1, None, b"\xff")] == [(m.offset, m.key, m.value) for m in by_partition[0]]
    assert [(0, None, b"b0")] == [(m.offset, m.key, m.value) for m in by_partition[1]]
    assert {topic: topic} == {batch.topic: topic for batch in batches}


def test_reading_goes_on_from_a_snapshot(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """A lane that is opened again goes on behind the last message that it had handed on."""
    topic = new_topic()
    produce(topic, b"0", b"1", b"2")
    first = lane(kafka, [(topic, 0)], batch_size=2)
    before = values(read(first, count(2)))
    snapshot = first.snapshot()
    first.close()
    produce(topic, b"3")
    again = lane(kafka, [(topic, 0)], snapshot)
    after = values(read(again, count(4 - len(before))))
    assert {f"{topic}/0": 4} == again.snapshot()
    again.close()
    assert [b"0", b"1", b"2", b"3"] == before + after


def test_lanes_share_the_partitions(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """Every partition belongs to one lane, always the same."""
    topic = new_topic(3)
    for partition in range(3):
        produce(topic, b"%d" % partition, partition=partition)
    source = KafkaSource(kafka, [(topic, n) for n in range(3)], now_ms, lanes=2)
    assert ["lane-0", "lane-1"] == source.list_parts()
    one, other = (source.build_part("topics", name, None) for name in source.list_parts())
    for number, reading in enumerate((one, other)):
        mine = [b"%d" % partition for partition in range(3) if lane_of(topic, partition, 2) == number]
        assert mine == (sorted(values(read(reading, count(len(mine))))) if mine else [])
    one.close()
    other.close()


@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_a_topic_that_comes_moves_no_partition(lanes: int) -> None:
    """Who reads a partition follows from its name alone, and every lane has some."""
    where = {(topic.name, n): lane_of(topic.name, n, lanes) for topic in topics.TOPICS for n in range(topic.partitions)}
    assert {*range(lanes)} == set(where.values())
    assert where[topics.DEALER_TRANSACTIONS.name, 1] == lane_of("dealer.transactions", 1, lanes)


def test_an_idle_partition_tells_the_time(kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """Once read to its end a silent partition follows the clock, less the slack, and never goes back."""
    topic, now = new_topic(), [1_000_000]
    reading = lane(kafka, [(topic, 0)], clock=lambda: now[0])
    (first,) = read(reading, bool)
    assert RawBatch(topic, 0, 1_000_000 - SLACK_MS, []) == first
    assert [] == reading.next_batch()
    now[0] += 500
    assert [1_000_500 - SLACK_MS] == [batch.watermark_ms for batch in reading.next_batch()]
    now[0] -= 400
    assert [] == reading.next_batch()
    reading.close()


def test_a_partition_that_is_behind_does_not_run_ahead(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """While there is more to read the watermark is that of the messages, and what is below it has been handed on."""
    topic = new_topic()
    times = [1_700_000_000_000 + n for n in range(5)]
    produce(topic, *(RawMessage(n, at_ms, None, b"x") for n, at_ms in enumerate(times)))
    reading = lane(kafka, [(topic, 0)], batch_size=1)
    batches = read(reading, count(5))
    reading.close()
    seen: list[int] = []
    for batch in batches:
        seen += [message.at_ms for message in batch.messages]
        assert seen == [at_ms for at_ms in times if at_ms < batch.watermark_ms]


def test_a_lump_of_one_instant_does_not_stop_the_lane(
    kafka: KafkaSettings, new_topic: NewTopics, produce: Produce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More messages of one instant than a lane keeps waiting are read all the same: nothing else can let them go."""
    monkeypatch.setattr("connectors.kafka.lane.WAITING_MAX", 5)
    topic, silent = new_topic(), new_topic()
    same, later = 1_700_000_000_000, 1_700_000_000_001
    produce(topic, *(RawMessage(n, same, None, b"%d" % n) for n in range(40)), RawMessage(40, later, None, b"40"))
    reading = lane(kafka, [(topic, 0), (silent, 0)], batch_size=3)
    assert [b"%d" % n for n in range(41)] == values(read(reading, count(41)))
    reading.close()


def test_a_partition_that_is_ahead_waits(
    kafka: KafkaSettings, new_topic: NewTopics, produce: Produce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far ahead one partition is, all messages of all partitions come, side by side in time."""
    monkeypatch.setattr("connectors.kafka.lane.WAITING_MAX", 5)
    one, other = new_topic(), new_topic()
    for topic in (one, other):
        produce(topic, *(RawMessage(n, 1_700_000_000_000 + n, None, b"x") for n in range(60)))
    reading = lane(kafka, [(one, 0), (other, 0)], batch_size=7)
    batches, reached = read(reading, count(120)), {one: -1, other: -1}
    reading.close()
    for batch in batches:
        reached[batch.topic] = batch.watermark_ms
        assert all(message.at_ms < batch.watermark_ms for message in batch.messages)
    assert 1 == len(set(reached.values()))


@pytest.mark.parametrize("claimed_ms", [1_700_000_000, 2**43])
def test_no_message_is_from_the_future(
    kafka: KafkaSettings, new_topic: NewTopics, produce: Produce, claimed_ms: int
) -> None:
    """A producer that stamps its messages wrongly cannot carry the time of a stream away with it."""
    topic = new_topic()
    try:
        produce(topic, RawMessage(0, claimed_ms, None, b"x"))
    except AssertionError:
        return  # this broker takes no such time
    reading = lane(kafka, [(topic, 0)])
    batches = read(reading, count(1))
    reading.close()
    assert all(0 <= m.at_ms <= now_ms() for batch in batches for m in batch.messages)
    assert all(batch.watermark_ms <= now_ms() for batch in batches)


def test_a_stop_ends_the_source(kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """When the worker is asked to stop, the source ends, so that last snapshots are taken."""
    reading = lane(kafka, [(new_topic(), 0)], stopping=lambda: True)
    with pytest.raises(StopIteration):
        reading.next_batch()
    reading.close()


def test_an_unknown_topic_is_one_sentence_and_is_not_created(kafka: KafkaSettings) -> None:
    """A topic that is not there is named, with how to create it, and asking has not created it."""
    name = unique_name("missing")
    with pytest.raises(ConfigError, match=f"the topic {name} is not on the broker at .*; create it with: ballast migrate"):
        list_partitions(kafka, [name])
    assert name not in broker_topics(kafka)


def test_partitions_are_listed(kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """All partitions of all topics, in order."""
    one, other = new_topic(2), new_topic(1)
    assert [(one, 0), (one, 1), (other, 0)] == list_partitions(kafka, [one, other])


def test_no_broker_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that does not answer is named, with the setting that says where it is."""
    monkeypatch.setattr("connectors.kafka.source.METADATA_TIMEOUT_SECONDS", 0.3)
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(ConfigError, match=f"no Kafka broker answers at {address} .*; start it or set kafka.bootstrap"):
        list_partitions(KafkaSettings(address), ["any"])


def test_an_offset_beyond_the_end_is_one_sentence(mock: MockKafka) -> None:
    """A place that the broker does not have, as when a topic was made anew, is refused rather than guessed."""
    kafka = KafkaSettings(mock.bootstrap)
    mock.create("anew", 1)
    produce_to(kafka, "anew", b"0")
    reading = lane(kafka, [("anew", 0)], {"anew/0": 7})
    with pytest.raises(ConfigError, match=r"anew\[0\] has no offset 7 any more, or not yet: .*recovery folder"):
        read(reading, count(1))
    reading.close()


def test_deleted_messages_are_never_skipped(mock: MockKafka) -> None:
    """When retention has taken what was not read yet, the flow does not start, and says so."""
    kafka = KafkaSettings(mock.bootstrap)
    mock.create("short", 1)
    produce_to(kafka, "short", *(b"%d" % n for n in range(9)))
    mock.delete_records("short", 0, 5)
    with pytest.raises(ConfigError, match=r"was read to 3, the broker has it from 5: messages were deleted"):
        lane(kafka, [("short", 0)], {"short/0": 3})


def test_a_new_reader_begins_where_the_broker_does(mock: MockKafka) -> None:
    """Without a snapshot the first message that is left is the first one read."""
    kafka = KafkaSettings(mock.bootstrap)
    mock.create("short", 1)
    produce_to(kafka, "short", *(b"%d" % n for n in range(9)))
    mock.delete_records("short", 0, 5)
    reading = lane(kafka, [("short", 0)])
    assert [b"5", b"6", b"7", b"8"] == values(read(reading, count(4)))
    reading.close()


def test_an_outage_is_waited_out(mock: MockKafka) -> None:
    """A source whose broker goes away loses nothing, and goes on when it is back."""
    kafka = KafkaSettings(mock.bootstrap, options={"reconnect.backoff.ms": "10", "reconnect.backoff.max.ms": "50"})
    mock.create("steady", 1)
    produce_to(kafka, "steady", b"0")
    reading = lane(kafka, [("steady", 0)])
    before = values(read(reading, count(1)))
    mock.down()
    for _ in range(20):
        assert [] == values(list(reading.next_batch()))
        time.sleep(0.005)
    mock.up()
    produce_to(kafka, "steady", b"1")
    after = values(read(reading, count(1)))
    reading.close()
    assert [b"0", b"1"] == before + after


@pytest.mark.parametrize("last", ["commit_transaction", "abort_transaction"])
def test_no_lag_is_left_behind_a_transaction(kafka: KafkaSettings, new_topic: NewTopics, last: str) -> None:
    """What the group has committed is the end, though the last offsets before it are no messages that anybody reads."""
    topic = new_topic()
    group = kafka._replace(group=unique_name("group"))
    send_in_transactions(kafka, topic, ["commit_transaction", last])
    reading = lane(group, [(topic, 0)])
    read(reading, count(1 if last == "abort_transaction" else 2))
    look = Consumer(client_options(kafka) | {"group.id": group.group})
    until(lambda: reading.next_batch() is not None and _lag(reading, look, topic) == 0, "no lag")
    reading.close()
    look.close()


def send_in_transactions(kafka: KafkaSettings, topic: str, ends: Sequence[str]) -> None:
    """A message for each end, in a transaction that ends so; a test on a broker without transactions is skipped."""
    producer = Producer(client_options(kafka) | {"transactional.id": unique_name("transactional")})
    try:
        producer.init_transactions(PATIENCE_SECONDS)
        for end in ends:
            producer.begin_transaction()
            producer.produce(topic, b"x")
            producer.flush(PATIENCE_SECONDS)
            getattr(producer, end)(PATIENCE_SECONDS)
    except KafkaException as error:
        pytest.skip(f"this broker has no transactions: {error}")


def _lag(reading: Any, look: Consumer, topic: str) -> int:
    reading.snapshot()
    (place,) = look.committed([TopicPartition(topic, 0)], timeout=PATIENCE_SECONDS)
    _, end = look.get_watermark_offsets(TopicPartition(topic, 0), timeout=PATIENCE_SECONDS)
    return int(end - place.offset)


# One line among silent topics.

ASKED_IN_VAIN = 50


class Noting:
    """A machine that answers every value at once."""

    def apply(self, at_ms: int, records: Sequence[Record]) -> list[Any]:  # noqa: ARG002
        return [record.value for record in records]

    def wake_at_ms(self) -> None:
        return None

    def wake(self, at_ms: int) -> list[Any]:  # noqa: ARG002
        return []

    def gauges(self) -> dict[str, int]:
        return {}

    def snapshot(self) -> tuple[()]:
        return ()


def merged_flow(source: KafkaSource, partitions: Sequence[tuple[str, int]], legs: str, seen: list[Any]) -> Dataflow:
    """Legs, spread and merged with everything else that there is."""
    flow = Dataflow("silence")
    raw = Raw("topics", op.input("topics", flow, source), partitions)
    topic = topics.DEALER_TRANSACTIONS._replace(name=legs)
    read_legs = read_as(raw, topic, lambda message: arrival_of(leg_from(message)))
    silent = [
        feeds.read(raw, topics.MARKET_TICKS._replace(name=name))
        for name in sorted({name for name, _ in partitions} - {legs})
    ]
    facts = together("facts", read_legs.good, *(one.good for one in silent))
    noted = machine("note", facts, shard_names("s", 4), lambda arrival: arrival.leg.id, Kind(1, lambda _: Noting()))
    arrived = op.flat_map("arrived", noted.stream, lambda progress: [("k", record.value) for record in progress.records])
    op.output("out", arrived, ListSink(seen))
    return flow


def test_one_line_among_silent_topics_arrives(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """A leg typed into one of many silent partitions comes through a merge of all of them, and nothing else has to come.

    It is typed after the flow has asked in vain for a while, since topics that were never read are a different silence.
    """
    legs = new_topic(4)
    partitions = [*((legs, n) for n in range(4)), (new_topic(), 0), (new_topic(), 0), (new_topic(), 0)]
    seen: list[Any] = []
    asked, started = count_up(), time.monotonic()

    def is_over() -> bool:
        if next(asked) == ASKED_IN_VAIN:
            produce(legs, encode(leg("b1")), partition=2)
        return bool(seen) or time.monotonic() > started + PATIENCE_SECONDS

    run_main(merged_flow(KafkaSource(kafka, partitions, now_ms, is_over), partitions, legs, seen))
    assert ["b1"] == [arrival.leg.id for arrival in seen]
