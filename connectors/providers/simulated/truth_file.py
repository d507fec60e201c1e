"""Where the simulated provider keeps its truth: one SQLite file, committed before anything is answered.

Every change of a conversion comes with a word, so what has to be written is what the new words name, the words themselves, the
new lines of the statement, the new answers to cancels, and the account.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from domain.errors import ConfigError
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_terms import Account, Conversion, Kept
from domain.treasury.conversion import CancelState, ConversionState, StatementLine

_TABLES = ("conversions", "cancels", "changes", "lines")
_SCHEMA = "CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY, body TEXT NOT NULL);" + "".join(
    f"CREATE TABLE IF NOT EXISTS {table} (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);"
    for table in _TABLES
)
_ACCOUNT = "INSERT INTO account VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body"
_M = TypeVar("_M", bound=BaseModel)


class TruthFile:
    """The file of one provider's process."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None)
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            msg = f"the provider cannot keep its truth in {path}: {error}; is another one running over this file?"
            raise ConfigError(msg) from error
        self._changes = self._lines = self._cancels = 0

    def load(self) -> Kept | None:
        """Return what was kept, None when the file is new."""
        found = self._connection.execute("SELECT body FROM account").fetchone()
        if found is None:
            return None
        conversions, cancels = self._all("conversions", Conversion), self._all("cancels", CancelState)
        changes, lines = self._all("changes", ConversionState), self._all("lines", StatementLine)
        self._changes, self._lines, self._cancels = len(changes), len(lines), len(cancels)
        return Kept(Account.model_validate_json(found[0]), conversions, cancels, changes, lines)

    def _all(self, table: str, model: type[_M]) -> list[_M]:
        query = f"SELECT body FROM {table} ORDER BY number"  # noqa: S608  one of our four names
        return [model.model_validate_json(body) for (body,) in self._connection.execute(query)]

    def keep(self, truth: SimulatedProvider) -> None:
        """Write down what changed since the last time; where nothing was said, nothing has changed."""
        changes, lines = truth.changes[self._changes :], truth.lines[self._lines :]
        cancels = list(islice(truth.cancels.values(), self._cancels, None))
        if not changes and not cancels:
            return
        touched = dict.fromkeys(word.client_conversion_id for word in changes)
        with self._connection:
            self._connection.execute("BEGIN")
            self._put("changes", ((word.id, word) for word in changes))
            self._put("lines", ((line.id, line) for line in lines))
            self._put("cancels", ((one.client_cancel_id, one) for one in cancels))
            self._put("conversions", ((name, truth.conversions[name]) for name in touched))
            self._connection.execute(_ACCOUNT, [truth.account.model_dump_json()])
        self._changes, self._lines, self._cancels = len(truth.changes), len(truth.lines), len(truth.cancels)

    def _put(self, table: str, named: Iterator[tuple[str, BaseModel]]) -> None:
        rows: Sequence[tuple[str, str]] = [(name, model.model_dump_json()) for name, model in named]
        put = (
            f"INSERT INTO {table} (name, body) VALUES (?, ?)"  # noqa: S608  one of our four names
            " ON CONFLICT (name) DO UPDATE SET body = excluded.body"
        )
        self._connection.executemany(put, rows)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()
