"""The Kafka source: every message once and in order, time on idle partitions, and one clear sentence when it cannot read."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import bytewax.operators as op
import pytest
from bytewax.dataflow import Dataflow
from bytewax.testing import run_main

from connectors.clock import now_ms
from connectors.embedded import free_port
from connectors.kafka import SLACK_MS, KafkaSettings, KafkaSource, broker_topics, list_partitions
from domain import topics
from domain.errors import ConfigError
from domain.legs import leg_from
from domain.pairing_effects import Arrival
from domain.streams import RawBatch, RawMessage, Record, shard_names, source_name
from operators.decode import decode_topic
from operators.machines import run_machine
from operators.posting import second_of
from operators.publish import encode
from operators.routing import remade, spread, values_of
from sinks.memory import ListSink
from tests.connectors.conftest import NewTopics, Produce, produce_to, unique_name
from tests.connectors.mock_kafka import MockKafka
from tests.flows.streams import leg

pytestmark = pytest.mark.broker

WAIT_SECONDS = 10.0


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
    deadline = time.monotonic() + WAIT_SECONDS
    while not enough(batches):
        assert time.monotonic() < deadline, f"only {batches}"
        batches += reading.next_batch()
        time.sleep(0.002)
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
    assert [b"0", b"2"] == sorted(values(read(one, count(2))))
    assert [b"1"] == values(read(other, count(1)))
    one.close()
    other.close()


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
    monkeypatch.setattr("connectors.lane.WAITING_MAX", 5)
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
    monkeypatch.setattr("connectors.lane.WAITING_MAX", 5)
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
    monkeypatch.setattr("connectors.kafka.METADATA_TIMEOUT_SECONDS", 0.3)
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


# One line among silent topics.


class Noting:
    """A machine that answers every value at once."""

    version = 1

    def apply(self, at_ms: int, records: Sequence[Record]) -> list[Any]:  # noqa: ARG002
        return [record.value for record in records]

    def wake_at_ms(self) -> None:
        return None

    def wake(self, at_ms: int) -> list[Any]:  # noqa: ARG002
        return []

    def snapshot(self) -> tuple[()]:
        return ()


class Arrivals(list[Any]):
    """A list that knows when it was first added to."""

    seen_at: float | None = None

    def extend(self, items: Any) -> None:
        super().extend(items)
        if self and self.seen_at is None:
            self.seen_at = time.monotonic()


def merged_flow(source: KafkaSource, partitions: Sequence[tuple[str, int]], legs: str, seen: Arrivals) -> Dataflow:
    """Legs, spread and merged with everything else that there is."""
    flow = Dataflow("latency")
    raw = op.input("topics", flow, source)
    topic = topics.DEALER_TRANSACTIONS._replace(name=legs)
    read_legs = decode_topic("read", raw, topic, lambda message: Arrival(leg_from(message)))
    silent = [
        decode_topic(f"read_{n}", raw, topics.MARKET_TICKS._replace(name=name))
        for n, name in enumerate(sorted({name for name, _ in partitions} - {legs}))
    ]
    sources = [source_name(*pair) for pair in partitions]
    shards = shard_names("s", 4)
    facts = op.merge("facts", read_legs, *silent)
    noted = run_machine("note", spread("spread", facts, shards, second_of), "note", sources, lambda _: Noting())
    plain = op.map("plain", noted, lambda item: item[1])
    arrived = values_of("arrived", remade("as_they_are", plain, lambda r: r.value), (Arrival,))
    op.output("out", op.map("keyed", arrived, lambda record: ("k", record)), ListSink(seen))
    return flow


def test_one_line_among_silent_topics_arrives_within_a_second(
    kafka: KafkaSettings, new_topic: NewTopics, produce: Produce
) -> None:
    """A leg typed into one of many silent partitions comes through a merge of all of them in less than a second."""
    legs = new_topic(4)
    partitions = [*((legs, n) for n in range(4)), (new_topic(), 0), (new_topic(), 0), (new_topic(), 0)]
    seen, typed_at, deadline = Arrivals(), [0.0], time.monotonic() + 15

    def type_a_line() -> None:
        time.sleep(1.0)
        produce(legs, encode(leg("b1")), partition=2)
        typed_at[0] = time.monotonic()

    source = KafkaSource(kafka, partitions, now_ms, lambda: bool(seen) or time.monotonic() > deadline)
    typist = threading.Thread(target=type_a_line)
    typist.start()
    run_main(merged_flow(source, partitions, legs, seen))
    typist.join()
    assert ["b1"] == [record.value.leg.id for record in seen]
    assert seen.seen_at is not None
    assert seen.seen_at - typed_at[0] < 1
