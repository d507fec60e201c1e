"""Creates the topics that are missing; never changes or deletes one that is there."""

from typing import Any

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from connectors.kafka.source import METADATA_TIMEOUT_SECONDS, KafkaSettings, broker_topics, client_options
from domain.errors import ConfigError
from domain.times import DAY_MS
from domain.topics import ALL, Topic

QUARANTINE_BYTES_MAX = 4 * 1024 * 1024


def create_topics(kafka: KafkaSettings) -> list[str]:
    """Create what is missing; returns the names. ConfigError says when the broker refuses."""
    there = broker_topics(kafka)
    missing = [topic for topic in ALL if topic.name not in there]
    if not missing:
        return []
    admin = AdminClient(client_options(kafka))
    for name, future in admin.create_topics([new_topic(topic) for topic in missing]).items():
        try:
            future.result(timeout=METADATA_TIMEOUT_SECONDS)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                msg = f"the broker does not create the topic {name}: {error.args[0].str()}"
                raise ConfigError(msg) from error
    return [topic.name for topic in missing]


def new_topic(topic: Topic[Any]) -> NewTopic:
    """Return a topic as it is asked of a broker."""
    retention_ms = topic.retention_days * DAY_MS if topic.retention_days > 0 else -1
    # Stream time is the broker's time (docs/adr/0001): a producer's clock, or what it makes of it, must not decide.
    config = {"message.timestamp.type": "LogAppendTime", "retention.ms": str(retention_ms)}
    config["cleanup.policy"] = "compact" if topic.compacted else "delete"
    if topic.name.startswith("quarantine."):
        config["max.message.bytes"] = str(QUARANTINE_BYTES_MAX)
    return NewTopic(topic.name, topic.partitions, 1, config=config)
