"""Migrations: applied once, in order, however many start at the same time."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from domain.errors import ConfigError
from sinks.migrations import MIGRATIONS, migrate
from tests.sinks.ledger.checks import LOCKS

pytestmark = pytest.mark.postgres

ALL = sorted(path.stem for path in MIGRATIONS.glob("*.sql"))


def test_what_is_missing_is_applied_in_order_and_only_once(empty_dsn: str) -> None:
    """The first run applies every file, the second none."""
    assert [migrate(empty_dsn), migrate(empty_dsn)] == [ALL, []]


def test_many_may_migrate_at_once(empty_dsn: str) -> None:
    """Each migration is applied by exactly one of those who start together."""
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(migrate, [empty_dsn] * 4))
    assert sorted(id_ for ids in applied for id_ in ids) == ALL


def test_no_lock_is_left_behind(empty_dsn: str) -> None:
    """After a run nothing is held that could keep the next one waiting."""
    migrate(empty_dsn)
    with psycopg.connect(empty_dsn) as connection:
        assert [] == connection.execute(LOCKS).fetchall()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_keep_every_text_is_refused(empty_dsn: str, encoding: str) -> None:
    """Before anything is applied, with the encoding by its name and what to do."""
    name = f"narrow_{encoding.lower()}"
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")  # type: ignore[arg-type]
        try:
            with pytest.raises(ConfigError, match=f"encoding {encoding}.*ENCODING 'UTF8'"):
                migrate(make_conninfo(empty_dsn, dbname=name))
        finally:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[arg-type]
