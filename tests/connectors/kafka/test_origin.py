"""What offsets are offsets into: a topic that changes under its readers is noticed, one that only seems to is not."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any

import pytest
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from connectors.clock import now_ms
from connectors.kafka.origin import GONE, Origin, Seen, Watch, change, origin_of
from connectors.kafka.source import KafkaSettings, KafkaSource, client_options, list_partitions
from domain.errors import ConfigError
from tests.connectors.conftest import NewTopics
from tests.connectors.kafka.mock_kafka import MockKafka
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.broker

Open = Callable[[str], Any]
WAS = Seen("id", 2)


@pytest.mark.parametrize(
    ("was", "now", "words"),
    [
        (WAS, WAS, None),
        (WAS, Seen(None, 2), None),
        (Seen(None, 2), WAS, None),
        (WAS, Seen("id", 1), None),
        (WAS, Seen("id", 4), "t[2], t[3] came while the topic was read"),
        (WAS, Seen(None, 3), "t[2] came while the topic was read"),
        (WAS, Seen("other", 2), "the topic t was deleted and made anew while it was read"),
        (WAS, Seen("other", 3), "the topic t was deleted and made anew while it was read"),
        (WAS, GONE, "the topic t was deleted while it was read"),
    ],
)
def test_a_change_is_told_from_an_answer_that_is_behind(was: Seen, now: Seen, words: str | None) -> None:
    """A partition that came, another id and a topic that is gone are changes; less, and nothing, are not."""
    said = change("t", was, now)
    assert (said is None) if words is None else (said is not None and said.startswith(words))


@pytest.fixture
def open_reading(kafka: KafkaSettings) -> Iterator[Open]:
    """Reads a topic as a worker does, and looks at it all the time."""
    with ExitStack() as stack:

        def open_one(topic: str) -> Any:
            partitions = list_partitions(kafka, [topic])
            seen = {topic: Seen(origin_of(kafka, [topic]).topic_ids[topic], len(partitions))}
            watch = Watch(kafka, seen, every_seconds=0)
            reading = KafkaSource(kafka, partitions, now_ms, watch=watch.look).build_part("topics", "lane-0", None)
            return stack.enter_context(closing(reading))

        yield open_one


def stopped(reading: Any) -> str:
    """Read until there is no reading on, and return why."""
    said: list[str] = []

    def is_stopped() -> bool:
        try:
            reading.next_batch()
        except ConfigError as error:
            said.append(str(error))
        return bool(said)

    until(is_stopped, "the reading to stop", look_seconds=0.002)
    return said[0]


def done(futures: dict[str, Any]) -> None:
    """Wait for what was asked of the broker; a test on a broker that does not do it is skipped."""
    for future in futures.values():
        try:
            future.result(PATIENCE_SECONDS)
        except KafkaException as error:
            pytest.skip(f"this broker does not: {error}")


def test_a_partition_that_is_added_stops_the_reading(kafka: KafkaSettings, new_topic: NewTopics, open_reading: Open) -> None:
    """Nobody would read it, so the flow stops and names it."""
    topic, admin = new_topic(2), AdminClient(client_options(kafka))
    reading = open_reading(topic)
    done(admin.create_partitions([NewPartitions(topic, 3)]))
    assert stopped(reading).startswith(f"{topic}[2] came while the topic was read")


@pytest.mark.skipif(
    "BALLAST_TEST_KAFKA" not in os.environ,
    reason="what the embedded broker answers of a deleted topic ends librdkafka, and the process with it, where it is read",
)
def test_a_topic_that_is_deleted_stops_the_reading(kafka: KafkaSettings, new_topic: NewTopics, open_reading: Open) -> None:
    """Silence of a topic that is there is one thing, a topic that is not is another."""
    topic, admin = new_topic(1), AdminClient(client_options(kafka))
    reading = open_reading(topic)
    done(admin.delete_topics([topic]))
    assert f"the topic {topic} was deleted while it was read" in stopped(reading)


def test_a_topic_that_is_made_anew_has_another_id(kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """The cluster stays the same, and so do the other topics."""
    topic, other, admin = new_topic(1), new_topic(1), AdminClient(client_options(kafka))
    was = origin_of(kafka, [topic, other])
    assert was == origin_of(kafka, [topic, other])
    done(admin.delete_topics([topic]))
    until(lambda: origin_of(kafka, [topic]).topic_ids[topic] is None, "the end of the topic")
    done(admin.create_topics([NewTopic(topic, 1, 1)]))
    until(lambda: origin_of(kafka, [topic]).topic_ids[topic] is not None, "the new topic")
    now = origin_of(kafka, [topic, other])
    assert (was.cluster_id, was.topic_ids[other]) == (now.cluster_id, now.topic_ids[other])
    assert was.topic_ids[topic] != now.topic_ids[topic]


def test_a_broker_that_is_away_changes_nothing(mock: MockKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    """No answer is no word about a topic: its id is not known, and its readers go on."""
    monkeypatch.setattr("connectors.kafka.origin.ASK_SECONDS", 0.05)
    kafka = KafkaSettings(mock.bootstrap)
    mock.create("steady", 1)
    watch = Watch(kafka, {"steady": Seen("id", 1)}, every_seconds=0)
    mock.down()
    assert Origin(None, {"steady": None}) == origin_of(kafka, ["steady"])
    for _ in range(3):
        watch.look()
        until(lambda: all(asked.done() for asked in watch._asked.values()), "the answers")
        watch.look()
