"""Connections: in a role, with its time-outs, and with one clear sentence where that cannot be."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import get_args

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from domain.errors import ConfigError
from sinks.migrations import migrate
from sinks.postgres import TIME_OUTS, Role, connect

pytestmark = pytest.mark.postgres

SETTINGS = """
    SELECT current_user, max(setting::INT) FILTER (WHERE name = 'statement_timeout'),
        max(setting::INT) FILTER (WHERE name = 'lock_timeout'),
        max(setting::INT) FILTER (WHERE name = 'idle_in_transaction_session_timeout')
    FROM pg_settings WHERE name LIKE '%timeout'
"""


@pytest.fixture
def login(dsn: str) -> Iterator[str]:
    """The DSN of somebody who may log in to the test's database and nothing else."""
    name = f"ballast_login_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'guard'")  # type: ignore[arg-type]
        yield make_conninfo(dsn, user=name, password="guard")  # noqa: S106 - of a role that lives for one test
        connection.execute(f"DROP OWNED BY {name} CASCADE")  # type: ignore[arg-type]
        connection.execute(f"DROP ROLE {name}")  # type: ignore[arg-type]


@pytest.mark.parametrize("role", get_args(Role))
def test_a_connection_has_the_role_and_the_time_outs_of_its_work(dsn: str, role: Role) -> None:
    """From the first statement on, and each statement is committed by itself."""
    with connect(dsn, role, "test") as connection:
        assert (f"ballast_{role}", *TIME_OUTS[role]) == connection.execute(SETTINGS).fetchone()
        assert (connection.autocommit, connection.info.parameter_status("application_name")) == (True, "ballast test")


INHERITED = {
    "DateStyle": ("German, DMY", "ISO, YMD"),
    "TimeZone": ("Asia/Tokyo", "UTC"),
    "IntervalStyle": ("sql_standard", "postgres"),
    "client_encoding": ("LATIN1", "UTF8"),
    "search_path": ("ledger, pg_temp", "public"),
    "default_transaction_isolation": ("serializable", "read committed"),
    "default_transaction_read_only": ("on", "off"),
}


@pytest.mark.parametrize("role", get_args(Role))
def test_a_session_inherits_nothing_that_we_rely_on(dsn: str, role: Role, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the database and the variables of libpq say, our statements are read and answered as they are meant."""
    database = psycopg.conninfo.conninfo_to_dict(dsn)["dbname"]
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name, (theirs, _) in INHERITED.items():
            value = theirs if name == "search_path" else f"'{theirs}'"
            connection.execute(f"ALTER DATABASE {database} SET {name} = {value}")  # type: ignore[arg-type]
    for variable, value in {"PGDATESTYLE": "SQL, DMY", "PGTZ": "Asia/Tokyo", "PGCLIENTENCODING": "LATIN1"}.items():
        monkeypatch.setenv(variable, value)
    with connect(dsn, role, "test") as connection:
        found = {name: connection.execute("SELECT current_setting(%s)", (name,)).fetchone() for name in INHERITED}
        assert {name: (ours,) for name, (_, ours) in INHERITED.items()} == found
        assert connection.execute("SELECT '2024-05-03'::TIMESTAMPTZ, '€'").fetchone() == (
            datetime(2024, 5, 3, tzinfo=UTC),
            "€",
        )


def test_rows_come_as_asked(dsn: str) -> None:
    """As tuples or, with a factory, as what it makes."""
    with connect(dsn, "reader", "test", dict_row) as connection:
        assert connection.execute("SELECT 1 AS one").fetchone() == {"one": 1}


def test_options_of_the_dsn_stay_but_for_the_role(dsn: str) -> None:
    """An operator may change the time-outs, and nobody the role."""
    given = make_conninfo(dsn, options="-c statement_timeout=7s -c work_mem=8MB -c role=ballast_migrator")
    with connect(given, "reader", "test") as connection:
        found = connection.execute("SELECT current_user, current_setting('statement_timeout'), current_setting('work_mem')")
        assert found.fetchone() == ("ballast_reader", "7s", "8MB")


def test_a_login_without_the_role_is_told_what_to_grant(login: str) -> None:
    """The sentence is the statement that a superuser has to run."""
    with pytest.raises(ConfigError, match="GRANT ballast_writer TO"):
        connect(login, "writer", "test")


def test_a_login_has_the_roles_that_it_was_granted_and_no_other(login: str, dsn: str) -> None:
    """A worker's login is a writer, never the owner; it sees that nothing is to be migrated."""
    with psycopg.connect(dsn) as connection:
        connection.execute(f"GRANT ballast_writer TO {psycopg.conninfo.conninfo_to_dict(login)['user']}")  # type: ignore[arg-type]
    assert migrate(login) == []
    with connect(login, "writer", "test") as connection:
        assert connection.execute("SELECT count(*) FROM ledger.tx").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SET ROLE ballast_migrator")


def test_what_psycopg_raises_for_other_reasons_stays(dsn: str) -> None:
    """A database that is not there is no matter of roles."""
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        connect(make_conninfo(dsn, dbname="ballast_nowhere"), "reader", "test")


def test_a_statement_that_takes_too_long_is_ended(dsn: str) -> None:
    """The time-outs are those of the server, whatever the client does."""
    quick = make_conninfo(dsn, options="-c statement_timeout=10")
    with connect(quick, "reader", "test") as connection, pytest.raises(psycopg.errors.QueryCanceled):
        connection.execute("SELECT pg_sleep(5)")


def test_a_writer_that_hangs_in_a_batch_is_cut_off_before_the_next_one_gives_up() -> None:
    """The next writer waits for the lock on the fence longer than the last one may do nothing."""
    assert TIME_OUTS["writer"].idle_in_transaction_ms < TIME_OUTS["writer"].lock_ms
