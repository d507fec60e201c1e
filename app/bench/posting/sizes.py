"""What a transaction takes on disk, and where it was measured.

Nothing is vacuumed before sizes are read: the tables that hold transactions only ever grow, so a vacuum would give nothing
back.
"""

import os
import platform
from collections.abc import Mapping
from typing import Any

import psycopg

_SIZES = """
    SELECT c.relname, pg_total_relation_size(c.oid)
    FROM pg_class c WHERE c.relnamespace = 'ledger'::REGNAMESPACE AND c.relkind = 'r' ORDER BY c.relname
"""
_SETTINGS = """
    SELECT name, current_setting(name)
    FROM unnest(ARRAY['server_version', 'fsync', 'synchronous_commit', 'full_page_writes', 'shared_buffers']) name
"""
PARTS = {"tx": "headers", "entry": "entries"}


def bytes_per_transaction(before: Mapping[str, int], after: Mapping[str, int], count: int) -> dict[str, float]:
    """By how much tables with their indexes grew for each of `count`; the rest is deltas by date, batches and balances."""
    grown = {"headers": 0, "entries": 0, "rest": 0}
    for table, size in after.items():
        grown[PARTS.get(table, "rest")] += size - before[table]
    parts = {name: round(size / count, 1) for name, size in grown.items()}
    return {"total": round(sum(grown.values()) / count, 1), **parts}


def table_bytes(dsn: str) -> dict[str, int]:
    """The bytes of each table of the ledger, with its indexes."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return dict(connection.execute(_SIZES).fetchall())


def surroundings(dsn: str) -> dict[str, Any]:
    """The machine, and how durable the database is."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        settings: dict[str, str] = dict(connection.execute(_SETTINGS).fetchall())
    return {"cpus": os.cpu_count(), "python": platform.python_version(), "postgres": settings}
