"""How this program connects to Postgres: under a name, in a role, and with limits on how long anything may take.

A connection takes one of the five roles of `sql/migrations/0001_roles.sql` before its first statement, so it may do what
its work needs and nothing else, whatever its login may. The roles have no login, and the settings of such a role
would never apply; so its time-outs travel with it, from the one table below.
"""

from collections.abc import Mapping
from os import environ
from typing import Any, Literal, NamedTuple, TypeVar, overload

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.errors import DeadlockDetected, SerializationFailure
from psycopg.rows import RowFactory, TupleRow, tuple_row
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from domain.errors import ConfigError

Connection = psycopg.Connection[TupleRow]
Row = TypeVar("Row")
Role = Literal["migrator", "writer", "executor", "api", "reader"]


class TimeOuts(NamedTuple):
    """How long a statement may run, wait for a lock, and a transaction be left alone; in milliseconds, 0 for ever."""

    statement_ms: int
    lock_ms: int
    idle_in_transaction_ms: int


# On a quiet machine each is many times what is needed, so that a busy one does not break off what would have ended well.
TIME_OUTS: Mapping[Role, TimeOuts] = {
    # Building an index on a full ledger takes as long as it takes, but while it waits for its lock all others wait for it.
    "migrator": TimeOuts(0, 30_000, 60_000),
    # A batch takes tens of milliseconds, reading the books at a start some seconds. A writer that hangs in a batch keeps
    # the next one from raising the fence, so it is cut off before that one gives up.
    "writer": TimeOuts(300_000, 60_000, 30_000),
    # One row at a time, while an exchange waits.
    "executor": TimeOuts(60_000, 30_000, 30_000),
    # A person waits for the answer, and a change of an account waits for no more than a batch or two.
    "api": TimeOuts(60_000, 30_000, 30_000),
    # An audit reads every entry; a reader that was forgotten must not keep dead rows alive for hours.
    "reader": TimeOuts(300_000, 30_000, 60_000),
}


SESSION = """
SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; SET client_encoding = 'UTF8';
SET search_path = public; SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
"""
"""What a session would inherit from its server, database, login or PG* variables, and what our statements rely on.

Reading times needs ISO dates; the locks of the ledger are made for READ COMMITTED.
"""

WRITERS_PLANS = (
    "-c jit=off -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
)
"""Statements of writers are short and always the same: to compile a plan, or to make it anew, costs more than to run it. They
look few rows up in tables of any size, and a plan that was made while a table was empty stays: so none may read a whole one.
"""

TRIES_MAX = 5

again_after_a_conflict = retry(
    retry=retry_if_exception_type((SerializationFailure, DeadlockDetected)),
    stop=stop_after_attempt(TRIES_MAX),
    wait=wait_exponential_jitter(multiplier=0.05, max=1.0, jitter=0.1),
    reraise=True,
)
"""Does an act of a person once more that Postgres broke off beside another transaction, of which nothing was done then.

Not by stamina, which logs what a function was called with, and acts are called with a DSN.
"""


@overload
def connect(dsn: str, role: Role, name: str) -> psycopg.Connection[TupleRow]: ...


@overload
def connect(dsn: str, role: Role, name: str, row_factory: RowFactory[Row]) -> psycopg.Connection[Row]: ...


def connect(dsn: str, role: Role, name: str, row_factory: RowFactory[Any] = tuple_row) -> psycopg.Connection[Any]:
    """Connect in a role, with its time-outs; every statement is committed by itself. `name` is shown in pg_stat_activity.

    Options that the DSN has stay, and win over our time-outs. Raises `ConfigError` if the login may not take the role, and
    what psycopg raises if the server does not let us in at all.
    """
    options = connection_options(dsn, role)
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, application_name=f"ballast {name}", options=options, row_factory=row_factory
        )
    except psycopg.OperationalError as error:
        _say_what_is_missing(dsn, role, error)
        raise
    connection.execute(SESSION)
    return connection


def connection_options(dsn: str, role: Role) -> str:
    """The `options` of libpq: of two that set the same, the last one holds."""
    statement_ms, lock_ms, idle_ms = TIME_OUTS[role]
    given = conninfo_to_dict(dsn).get("options") or environ.get("PGOPTIONS", "")
    planning = f"{WRITERS_PLANS} " if role == "writer" else ""
    return (
        f"-c statement_timeout={statement_ms} -c lock_timeout={lock_ms} {planning}"
        f"-c idle_in_transaction_session_timeout={idle_ms} {given} -c role=ballast_{role}"
    )


def _say_what_is_missing(dsn: str, role: Role, cause: psycopg.Error) -> None:
    """Ask again without the role; libpq gives an error at the start no code, and its words depend on the language."""
    try:
        with psycopg.connect(dsn) as connection:
            login = connection.info.user
            connection.execute(f"SET ROLE ballast_{role}")
    except psycopg.errors.InsufficientPrivilege:
        msg = f'the login {login} may not act as ballast_{role}; let a superuser run: GRANT ballast_{role} TO "{login}"'
        raise ConfigError(msg) from cause
    except psycopg.errors.InvalidParameterValue:
        msg = f"the database has not been prepared (there is no role ballast_{role}); run: ballast migrate"
        raise ConfigError(msg) from cause
    except psycopg.OperationalError:
        return
