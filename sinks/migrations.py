"""Brings a database to the schema that this program needs, by the files in `sql/migrations`, and tells it the kinds of requests.

A lock in the database makes it safe to start many processes at once, each of which migrates. It is held by a session,
so unlike the row that the migration tool itself would lock by, it is gone when its holder is.
"""

from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from yoyo import read_migrations
from yoyo.backends import get_backend_class
from yoyo.connections import DatabaseURI
from yoyo.migrations import default_migration_table

from domain.errors import ConfigError
from domain.outbox.kinds import State, states
from sinks.postgres import SESSION, Connection

MIGRATIONS = Path(__file__).parent.parent / "sql" / "migrations"
LOCK = 0x4D494752
STATES = "SELECT kind, state, stage, takes_slot FROM treasury.request_state"
KNOWS = """
INSERT INTO treasury.request_state (kind, state, stage, takes_slot) VALUES (%s, %s, %s, %s)
ON CONFLICT (kind, state) DO UPDATE SET stage = excluded.stage, takes_slot = excluded.takes_slot
"""
_SCHEME = "postgresql+psycopg"


def migrate(dsn: str) -> list[str]:
    """Apply what is missing, in order, each migration in one transaction, and return the ids of what was applied.

    Afterwards the database knows every state of a request that the program knows. Raises `ConfigError` if a migration cannot
    be read or the database could not keep every text, and what psycopg raises if one fails, or if a state that is in use
    would change its meaning; what was applied before stays.
    """
    with psycopg.connect(dsn, autocommit=True, application_name="ballast migrate") as lock:
        _check_encoding(lock)
        lock.execute(SESSION)
        lock.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        backend = _backend(dsn)
        try:
            applied = _apply(backend)
        finally:
            backend.connection.close()
        _tell_states(lock)
        return applied


def _check_encoding(connection: Connection) -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        msg = (
            f"the database keeps texts in the encoding {encoding}, and not every name, memo or reason fits that; "
            "create it with ENCODING 'UTF8' TEMPLATE template0"
        )
        raise ConfigError(msg)


def _tell_states(connection: Connection) -> None:
    """Write what is missing and nothing else, so that a login that may only read passes when nothing is."""
    known = {State(*row) for row in connection.execute(STATES)}
    connection.cursor().executemany(KNOWS, sorted(states() - known))


def _apply(backend: Any) -> list[str]:
    missing = backend.to_apply(read_migrations(str(MIGRATIONS)))
    ids = [migration.id for migration in missing]
    backend.apply_migrations(missing)
    # The tool passes over a file that it cannot read.
    left = [migration.id for migration in backend.to_apply(read_migrations(str(MIGRATIONS)))]
    if left:
        msg = f"these migrations could not be applied: {', '.join(left)}"
        raise ConfigError(msg)
    return ids


def _backend(dsn: str) -> Any:
    settings = conninfo_to_dict(dsn)
    database = settings.pop("dbname", None)
    uri = DatabaseURI(_SCHEME, None, None, None, None, database, settings)
    backend = get_backend_class(_SCHEME)(uri, default_migration_table)
    backend.init_database()
    return backend
