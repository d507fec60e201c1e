"""Where the broker and the database are: the real ones that settings name, or embedded ones that are started here."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import psycopg
import structlog

from app.settings import Settings
from app.troubles import known_trouble
from connectors.embedded.broker import embedded_broker
from connectors.embedded.postgres import embedded_postgres
from connectors.kafka.source import KafkaSettings, broker_topics
from connectors.kafka.topics import create_topics
from sinks.migrations import migrate

log = structlog.get_logger()


@dataclass(frozen=True)
class Places:
    """`broker_is_new` says that the broker's topics, and every offset into them, began with this process."""

    dsn: str
    kafka: KafkaSettings
    broker_is_new: bool


@contextmanager
def open_places(settings: Settings) -> Iterator[Places]:
    """Start what is not named, check what is, and bring both up to date. ConfigError says what is missing."""
    with ExitStack() as stack:
        dsn = named_dsn(settings) or stack.enter_context(embedded_postgres(settings.data.folder / "postgres"))
        bootstrap = settings.kafka.bootstrap or stack.enter_context(embedded_broker(settings.data.folder / "broker.log"))
        kafka = kafka_settings(settings, bootstrap)
        _say(settings, *prepare(dsn, kafka))
        yield Places(dsn, kafka, settings.kafka.bootstrap is None)


def _say(settings: Settings, migrations: list[str], topics: list[str]) -> None:
    """Log what was done to a database and a broker that are somebody's own."""
    if settings.postgres.dsn and migrations:
        log.info("database.migrated", migrations=migrations)
    if settings.kafka.bootstrap and topics:
        log.info("topics.created", topics=topics)


def prepare(dsn: str, kafka: KafkaSettings) -> tuple[list[str], list[str]]:
    """Apply migrations and create topics that are missing; returns the names of both."""
    check_database(dsn)
    check_broker(kafka)
    return migrate(dsn), create_topics(kafka)


def check_database(dsn: str) -> None:
    """ConfigError in one sentence when the database does not let us in."""
    try:
        psycopg.connect(dsn, connect_timeout=30).close()
    except psycopg.Error as error:
        trouble = known_trouble(error)
        assert trouble is not None, "an error of Postgres is known"  # noqa: S101
        raise trouble from error


def check_broker(kafka: KafkaSettings) -> None:
    """ConfigError in one sentence when no broker answers; librdkafka's own lines on standard error are left out."""
    broker_topics(kafka._replace(options={**kafka.options, "log_level": "0"}), waits=False)


def named_dsn(settings: Settings) -> str | None:
    """The DSN that settings name, or None."""
    return settings.postgres.dsn.get_secret_value() if settings.postgres.dsn else None


def kafka_settings(settings: Settings, bootstrap: str) -> KafkaSettings:
    """Settings of every Kafka client, secrets included."""
    secrets = {name: value.get_secret_value() for name, value in settings.kafka.secret_options.items()}
    return KafkaSettings(bootstrap, "ballast", {**settings.kafka.options, **secrets})
