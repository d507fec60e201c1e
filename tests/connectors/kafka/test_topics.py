"""Topics as they are made: with the broker's time, and what is compacted or forgotten as the list of topics says."""

import os

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Consumer, TopicPartition

from connectors.kafka.source import KafkaSettings, client_options
from connectors.kafka.topics import create_topics, new_topic
from domain import topics
from domain.streams.records import RawMessage
from tests.connectors.conftest import produce_to


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.name)
def test_topics_are_made_with_broker_time(topic: topics.Topic[object]) -> None:
    """Of every topic the time is the broker's own, and a compacted one keeps the newest per key, for ever."""
    made = new_topic(topic).config
    assert "LogAppendTime" == made["message.timestamp.type"]
    assert ("compact" if topic.compacted else "delete") == made["cleanup.policy"]
    assert topic.retention_days < 0 or str(topic.retention_days * 86_400_000) == made["retention.ms"]


@pytest.mark.broker
def test_a_producer_cannot_say_when_its_message_came(kafka: KafkaSettings) -> None:
    """A real broker stamps what it takes; the embedded one leaves the producer's time, which the source then bounds."""
    create_topics(kafka)
    produce_to(kafka, topics.ALERTS.name, RawMessage(0, 1_000, None, b"{}"))
    consumer = Consumer(client_options(kafka) | {"group.id": "times", "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topics.ALERTS.name, 0, 0)])
    message = consumer.poll(30)
    consumer.close()
    assert message is not None
    kind, at_ms = message.timestamp()
    is_real = "BALLAST_TEST_KAFKA" in os.environ
    assert is_real == (kind == TIMESTAMP_LOG_APPEND_TIME)
    assert is_real == (at_ms > 1_000)
