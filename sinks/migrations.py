"""Brings a database to the schema that this program needs, by the files in `sql/migrations`.

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

MIGRATIONS = Path(__file__).parent.parent / "sql" / "migrations"
LOCK = 0x4D494752
_SCHEME = "postgresql+psycopg"


def migrate(dsn: str) -> list[str]:
    """Apply what is missing, in order, each migration in one transaction, and return the ids of what was applied.

    Raises `ConfigError` if a migration cannot be read, and what psycopg raises if one fails; those before it stay.
    """
    with psycopg.connect(dsn, autocommit=True, application_name="ballast migrate") as lock:
        lock.execute("SELECT pg_advisory_lock(%s)", (LOCK,))
        backend = _backend(dsn)
        try:
            return _apply(backend)
        finally:
            backend.connection.close()


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
