"""The real things out of containers, where a Docker engine answers: the images that docker-compose.yml names."""

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.kafka.source import KafkaSettings
from connectors.kafka.topics import create_topics
from domain.topics import ALL
from sinks.migrations import migrate

COMPOSE = (Path(__file__).parents[2] / "docker-compose.yml").read_text()


def _engine_answers() -> bool:
    """Whether an engine says that it is there, at the address that Docker's own tools would ask."""
    scheme, _, address = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").partition("://")
    host, _, port = address.partition(":")
    family, target = (socket.AF_UNIX, address) if scheme == "unix" else (socket.AF_INET, (host, int(port or 2375)))
    try:
        with socket.socket(family) as engine:
            engine.settimeout(2)
            engine.connect(target)
            engine.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b"200" in engine.recv(64)
    except OSError:
        return False


pytestmark = [
    pytest.mark.docker,
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(not _engine_answers(), reason="no Docker engine answers"),
]


def _image(name: str) -> str:
    found = re.search(rf"image: ({name}:\S+)", COMPOSE)
    assert found
    return found[1]


@pytest.fixture
def postgres() -> Iterator[str]:
    """The DSN of a Postgres in a container."""
    from testcontainers.postgres import PostgresContainer  # noqa: PLC0415 - it warns when it is imported

    with PostgresContainer(_image("postgres"), driver=None) as container:
        yield container.get_connection_url()


@pytest.fixture
def kafka() -> Iterator[str]:
    """The address of a Kafka in a container; testcontainers knows Confluent's image of it."""
    from testcontainers.kafka import KafkaContainer  # noqa: PLC0415 - it warns when it is imported

    with KafkaContainer().with_kraft() as container:
        yield container.get_bootstrap_server()


def test_migrations_fit_the_image(postgres: str) -> None:
    """An empty database is migrated, and a second time there is nothing to do."""
    assert migrate(postgres)
    assert [] == migrate(postgres)


def test_topics_fit_the_broker(kafka: str) -> None:
    """All topics are created with their settings, and a second time there is nothing to do."""
    settings = KafkaSettings(kafka)
    assert [topic.name for topic in ALL] == create_topics(settings)
    assert [] == create_topics(settings)
