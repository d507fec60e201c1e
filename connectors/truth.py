"""Where a simulated part of the outside keeps its truth: one SQLite file of one process, whose rows are messages as JSON."""

import sqlite3
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from domain.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


def open_truth(path: Path, schema: str, who: str) -> sqlite3.Connection:
    """Open the file of `who`, for this process alone; a new one gets its tables. ConfigError when it cannot be had."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.executescript(schema)
    except (sqlite3.Error, OSError) as error:
        msg = f"the {who} cannot keep its truth in {path}: {error}; is another one running over this file?"
        raise ConfigError(msg) from error
    return connection


def all_of(connection: sqlite3.Connection, table: str, model: type[M]) -> list[M]:
    """Return all messages of a table, in the order in which they came."""
    query = f"SELECT body FROM {table} ORDER BY number"  # noqa: S608 - a name of the program's own
    return [model.model_validate_json(body) for (body,) in connection.execute(query)]
