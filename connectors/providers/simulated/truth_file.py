"""Where the simulated provider keeps its truth: one SQLite file, committed before anything is answered.

Every change of a conversion comes with a word, so what has to be written is what the new words name, the words themselves, the
new lines of the statement, the new answers to cancels, and the account.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from pydantic import BaseModel

from connectors.truth import all_of, open_truth
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_terms import Account, Conversion, Kept
from domain.treasury.conversion import CancelState, ConversionState, StatementLine

_TABLES = ("conversions", "cancels", "changes", "lines")
_SCHEMA = "CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY, body TEXT NOT NULL);" + "".join(
    f"CREATE TABLE IF NOT EXISTS {table} (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, body TEXT NOT NULL);"
    for table in _TABLES
)
_ACCOUNT = "INSERT INTO account VALUES (1, ?) ON CONFLICT (one) DO UPDATE SET body = excluded.body"


class TruthFile:
    """The file of one provider's process."""

    def __init__(self, path: Path) -> None:
        self._connection = open_truth(path, _SCHEMA, "provider")
        self._changes = self._lines = self._cancels = 0

    def load(self) -> Kept | None:
        """Return what was kept, None when the file is new."""
        found = self._connection.execute("SELECT body FROM account").fetchone()
        if found is None:
            return None
        conversions = all_of(self._connection, "conversions", Conversion)
        cancels = all_of(self._connection, "cancels", CancelState)
        changes = all_of(self._connection, "changes", ConversionState)
        lines = all_of(self._connection, "lines", StatementLine)
        self._changes, self._lines, self._cancels = len(changes), len(lines), len(cancels)
        return Kept(Account.model_validate_json(found[0]), conversions, cancels, changes, lines)

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
