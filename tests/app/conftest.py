"""The command line, and what it can be pointed at."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.app.surroundings import (
    Running,
    Said,
    open_broker,
    open_database,
    open_folder,
    open_server,
    run_ballast,
    running_flows,
)

Ballast = Callable[..., Said]


@pytest.fixture
def ballast(tmp_path: Path) -> Ballast:
    """Runs a command in an empty folder, without any setting but those given."""
    return partial(run_ballast, cwd=tmp_path)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A new folder in which an embedded Postgres can run."""
    with open_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
def broker() -> Iterator[str]:
    """The address of a broker."""
    with open_broker() as address:
        yield address


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The DSN of a superuser's maintenance database."""
    with open_server() as dsn:
        yield dsn


@pytest.fixture
def database(server: str) -> Iterator[str]:
    """The DSN of an empty database."""
    with open_database(server) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The whole treasury as a long-running worker: on what the environment names, embedded parts otherwise.

    By module, since workers of two ledgers over the topics of one broker would speak of two exchanges.
    """
    with running_flows(["everything"]) as running:
        yield running
