"""A Kafka broker for the session: the one that BALLAST_TEST_KAFKA names, or an embedded one; and topics of a test's own."""

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest
from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.embedded.broker import embedded_broker
from connectors.kafka.source import KafkaSettings, client_options
from domain.streams.records import RawMessage
from tests.connectors.kafka.mock_kafka import MockKafka, mock_kafka
from tests.waiting import PATIENCE_SECONDS

_numbers = count()

NewTopics = Callable[..., str]
Produce = Callable[..., None]


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaSettings]:
    """Where the broker is."""
    named = os.environ.get("BALLAST_TEST_KAFKA")
    if named:
        yield KafkaSettings(named)
    else:
        with embedded_broker(tmp_path_factory.mktemp("broker") / "broker.log") as address:
            yield KafkaSettings(address)


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    """A broker whose faults can be asked for."""
    with mock_kafka() as cluster:
        yield cluster


def unique_name(what: str = "topic") -> str:
    """A topic name that no other test, and no other run over the same broker, has."""
    return f"test.{what}.{os.getpid()}.{next(_numbers)}"


@pytest.fixture
def new_topic(kafka: KafkaSettings) -> NewTopics:
    """Creates a topic with so many partitions, and gives its name."""

    admin = AdminClient(client_options(kafka))

    def create(partitions: int = 1) -> str:
        name = unique_name()
        admin.create_topics([NewTopic(name, partitions, 1)])[name].result(PATIENCE_SECONDS)
        return name

    return create


@pytest.fixture
def produce(kafka: KafkaSettings) -> Produce:
    """Puts messages on one partition of a topic, and returns when the broker has them."""

    def put(topic: str, *messages: RawMessage | bytes, partition: int = 0) -> None:
        produce_to(kafka, topic, *messages, partition=partition)

    return put


def produce_to(kafka: KafkaSettings, topic: str, *messages: RawMessage | bytes, partition: int = 0) -> None:
    """As above, at any broker."""
    producer = Producer(client_options(kafka))
    refused: list[str] = []

    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            refused.append(error.str())

    for message in messages:
        value, key = (message, None) if isinstance(message, bytes) else (message.value, message.key)
        at_ms = 0 if isinstance(message, bytes) else message.at_ms
        producer.produce(topic, value, key, partition, reported, timestamp=at_ms)
    assert producer.flush(PATIENCE_SECONDS) == 0
    assert [] == refused
