"""Looks into topics from beside the flows: all that was there when the look began, and an end to it."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.peek import Peek, Tail, last_offsets
from connectors.kafka.source import KafkaSettings, client_options
from domain import topics
from domain.streams.records import RawMessage
from domain.topics import Topic
from tests.connectors.conftest import NewTopics, Produce, unique_name
from tests.connectors.kafka.test_source import send_in_transactions
from tests.waiting import PATIENCE_SECONDS

pytestmark = pytest.mark.broker


@pytest.fixture
def peek(kafka: KafkaSettings) -> Iterator[Peek]:
    """A look at the tests' broker."""
    with closing(Peek(kafka)) as peek:
        yield peek


def numbers(count: int) -> list[bytes]:
    """So many messages."""
    return [b"%d" % number for number in range(count)]


@pytest.mark.parametrize("batches", [[], [1], [3, 1, 5], [5_000]])
def test_everything_that_was_there_is_read(peek: Peek, new_topic: NewTopics, produce: Produce, batches: list[int]) -> None:
    """From the first message to the last, of every partition, however they were sent."""
    topic = new_topic(2)
    for count in batches:
        produce(topic, *numbers(count), partition=1)
    read = list(peek.everything(topic))
    assert {(topic, 1)} >= {key for key, _ in read}
    assert [*range(sum(batches))] == [message.offset for _, message in read]
    assert [value for count in batches for value in numbers(count)] == [message.value for _, message in read]


def test_a_topic_that_grows_faster_than_it_is_read_has_an_end(
    peek: Peek, kafka: KafkaSettings, new_topic: NewTopics, produce: Produce, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is slower than the writer comes to the end of what was there at first."""
    monkeypatch.setattr("connectors.kafka.peek.POLL_MESSAGES", 20)
    topic, is_read = new_topic(), threading.Event()
    produce(topic, *numbers(10))

    def write_on() -> None:
        producer = Producer(client_options(kafka))
        while not is_read.is_set():
            producer.produce(topic, b"more")
            producer.flush()

    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        read: list[RawMessage] = []
        for _, message in peek.everything(topic):
            read.append(message)
            time.sleep(0.001)
    finally:
        is_read.set()
        writer.join()
    assert [*range(len(read))] == [message.offset for message in read]
    assert numbers(10) == [message.value for message in read[:10]]


def test_a_tail_is_counted_and_shown(peek: Peek, new_topic: NewTopics, produce: Produce) -> None:
    """Of the topics that are asked for; those that are not there are left out."""
    topic, empty = new_topic(), new_topic()
    produce(topic, *numbers(100))
    found = peek.tails([topic, empty, "test.missing"])
    assert {(topic, 0), (empty, 0)} == found.keys()
    assert (100, b"99") == (found[topic, 0].messages, found[topic, 0].newest[-1].value)
    assert Tail(0, []) == found[empty, 0]


def test_what_is_no_message_is_not_counted(peek: Peek, kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """Markers of transactions are offsets in the tail, and no messages."""
    topic = new_topic()
    send_in_transactions(kafka, topic, ["commit_transaction", "commit_transaction"])
    found = peek.tails([topic])[topic, 0]
    assert (2, 2) == (found.messages, len(found.newest))


def test_a_topic_that_is_not_there_is_empty(peek: Peek) -> None:
    """It is not created either."""
    missing: Topic[object] = topics.MARKET_TICKS._replace(name="test.missing")
    assert [] == list(peek.everything(missing.name))
    assert {} == peek.tails([missing.name])


def test_topics_that_have_just_been_made_are_empty(peek: Peek, kafka: KafkaSettings) -> None:
    """A broker that does not know yet who leads them is asked again."""
    names = [unique_name() for _ in range(40)]
    admin = AdminClient(client_options(kafka))
    for made in admin.create_topics([NewTopic(name, 4, 1) for name in names]).values():
        made.result(PATIENCE_SECONDS)
    assert {Tail(0, ())} >= {Tail(tail.messages, tuple(tail.newest)) for tail in peek.tails(names).values()}


def test_the_last_offsets_are_those_of_messages(kafka: KafkaSettings, new_topic: NewTopics, produce: Produce) -> None:
    """Each partition that has one is told of."""
    topic = new_topic(3)
    produce(topic, *numbers(100), partition=2)
    produce(topic, b"one", partition=0)
    assert {(topic, 0): 0, (topic, 2): 99} == last_offsets(kafka, [topic])


def test_the_marker_of_a_transaction_is_no_last_message(kafka: KafkaSettings, new_topic: NewTopics) -> None:
    """The end that a broker tells lies behind it, and nobody who reads would ever come to it."""
    topic = new_topic()
    send_in_transactions(kafka, topic, ["commit_transaction", "commit_transaction"])
    assert {(topic, 0): 2} == last_offsets(kafka, [topic])
