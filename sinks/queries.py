"""The named queries in `sql/queries`: reading only, and the same for a program as for a person with psql.

A query is called by the name of its file, which begins with the noun that it asks about; its parameters are named in its
text as `%(account)s`, and what it answers is said in its first lines.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from psycopg.rows import dict_row

from sinks.postgres import Connection

QUERIES = Path(__file__).parent.parent / "sql" / "queries"


def names() -> list[str]:
    """Every query there is."""
    return sorted(path.stem for path in QUERIES.glob("*.sql"))


@lru_cache
def text_of(name: str) -> str:
    """The SQL of a query, with its comments."""
    return (QUERIES / f"{name}.sql").read_text()


def ask(connection: Connection, name: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
    """Run a query; a row is a value per column, amounts as `Decimal` without a fraction. What psycopg raises stays."""
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(text_of(name).encode(), parameters or {}).fetchall()
