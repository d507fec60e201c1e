"""Databases that last as long as a measurement: on the server that settings name, or on an embedded one.

They are copies of one that is migrated and has its accounts once. Creating them, and filling them past the triggers, takes a
superuser.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier

from app.bench.posting.load import EMPTY_ACCOUNTS, Load, account_code, empty_code
from app.places.places import check_database, named_dsn
from app.settings import Settings
from connectors.embedded.postgres import embedded_postgres
from sinks.migrations import migrate

SHARDS = 2
LARGE_SHARD = 2
"""The shard of the many accounts; the first two have as many as any load."""

ACCOUNT_IDS_PER_SHARD = 10_000_000
LIMIT_FAR_OFF = -(10**15)
"""In minor units: a limit that is judged and never reached."""

_OPEN = """
    INSERT INTO ledger.account (account_id, code, journal, normal_side, min_available, shard)
    SELECT %(first_id)s + n, %(prefix)s || lpad(n::TEXT, 7, '0'), 'Bench', 1, CASE n %% 10 WHEN 9 THEN %(limit)s END, %(shard)s
    FROM generate_series(0, %(count)s - 1) n
"""
_OPEN_EMPTY = """
    INSERT INTO ledger.account (account_id, code, journal, normal_side, min_available, shard) VALUES (%s, %s, 'Bench', 1, 0, %s)
"""
_numbers = count()


class Server(NamedTuple):
    """Where databases can be made, and the name of the one that they are copies of."""

    dsn: str
    template: str


@contextmanager
def scratch_server(settings: Settings) -> Iterator[Server]:
    """A server with a migrated database that has the accounts of the load."""
    with _server(settings) as dsn, _database(dsn, "template0") as (name, template_dsn):
        migrate(template_dsn)
        for shard in range(SHARDS):
            open_accounts(template_dsn, Load(shard=shard))
        yield Server(dsn, name)


@contextmanager
def scratch_database(server: Server) -> Iterator[str]:
    """The DSN of a new database with an empty ledger."""
    with _database(server.dsn, server.template) as (_, dsn):
        yield dsn


def first_account_id(shard: int) -> int:
    """The id of the account with index 0."""
    return 1000 + shard * ACCOUNT_IDS_PER_SHARD


def open_accounts(dsn: str, load: Load) -> None:
    """Open the accounts of a load; those with nothing in them have ids after the others."""
    prefix = account_code(load.shard, 0)[:-7]
    facts = {"prefix": prefix, "limit": LIMIT_FAR_OFF, "shard": load.shard, "count": load.accounts}
    first_id = first_account_id(load.shard)
    empty_id = first_id + load.accounts
    with psycopg.connect(dsn) as connection, connection.cursor() as cursor:
        cursor.execute(_OPEN, facts | {"first_id": first_id})
        empty = [(empty_id + index, empty_code(load.shard, index), load.shard) for index in range(EMPTY_ACCOUNTS)]
        cursor.executemany(_OPEN_EMPTY, empty)


@contextmanager
def _server(settings: Settings) -> Iterator[str]:
    named = named_dsn(settings)
    if named:
        check_database(named)
        yield named
        return
    # Beside the data, since what is in a folder for temporary files may be in memory, where nothing is ever synced.
    settings.data.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=settings.data.folder, ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)  # as root the server runs as a user of its own
        with embedded_postgres(Path(folder) / "postgres") as dsn:
            yield dsn


@contextmanager
def _database(server_dsn: str, template: str) -> Iterator[tuple[str, str]]:
    name = f"ballast_bench_{os.getpid()}_{next(_numbers)}"
    with psycopg.connect(server_dsn, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        try:
            yield name, make_conninfo(server_dsn, dbname=name)
        finally:
            connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
