"""Migrations: applied once, in order, however many start at the same time."""

from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from sinks.migrations import MIGRATIONS, migrate

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
        assert connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
