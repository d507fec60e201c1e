"""Where the time of a batch goes: the stages of the writer one after the other, without the overlap that it works with.

Statements are timed where the client sees them, so what a statement takes is its triggers too. Commit is the wait for the
disk, with the check at the end of a batch.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg

from app.workers.worker import collect_rarely
from domain.ledger.books import Books
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Transaction
from sinks.ledger.reading import NO_HASH, read_books
from sinks.ledger.rows import render
from sinks.ledger.taking import take
from sinks.ledger.writing import Prepared, write_batch
from sinks.postgres import Connection

SHARD = 0
Took = defaultdict[str, float]
"""Seconds by stage."""

_STATEMENT = re.compile(rb"\s*(INSERT INTO|UPDATE|COPY) ledger\.(\w+)")


def stages_ms(dsn: str, transactions: Sequence[Transaction], batch: int, warm_batches: int) -> dict[str, float]:
    """Milliseconds per batch by stage, in the order in which they come, on an empty ledger; the first batches only warm up."""
    took: Took = defaultdict(float)
    with psycopg.connect(dsn, autocommit=True, cursor_factory=_watched(took)) as connection:
        fence = take(connection, SHARD)
        books, last_hash = read_books(connection, SHARD), NO_HASH
        collect_rarely()
        starts = range(0, len(transactions), batch)
        for number, start in enumerate(starts):
            if number == warm_batches:
                took.clear()
            last_hash = _post(connection, took, fence, books, transactions[start : start + batch], last_hash)
    return {stage: round(seconds / (len(starts) - warm_batches) * 1000, 2) for stage, seconds in took.items()}


def _post(
    connection: Connection, took: Took, fence: int, books: Books, batch: Sequence[Transaction], last_hash: bytes
) -> bytes:
    with _timed(took, "fold"):
        folded = fold(books, batch)
    with _timed(took, "render"):
        rendered = render(books, folded)
    began = time.perf_counter()
    with connection.transaction():
        linked = write_batch(connection, SHARD, fence, Prepared(batch, folded, rendered, folded.rows), last_hash)
        written = time.perf_counter()
    took["commit"] += time.perf_counter() - written
    took["all_of_the_write"] += time.perf_counter() - began
    advance(books, folded)
    return linked.hash


@contextmanager
def _timed(took: Took, stage: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    took[stage] += time.perf_counter() - began


def _watched(took: Took) -> type[psycopg.Cursor[Any]]:
    """A cursor that times the statements on the ledger's tables."""

    class Watched(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            with _timed(took, _stage(query)):
                return super().execute(query, *arguments, **options)

        @contextmanager
        def copy(self, statement: Any, *arguments: Any, **options: Any) -> Iterator[psycopg.Copy]:
            with _timed(took, _stage(statement)), super().copy(statement, *arguments, **options) as copy:
                yield copy

    return Watched


def _stage(query: str | bytes) -> str:
    named = _STATEMENT.match(query.encode() if isinstance(query, str) else query)
    return b"_".join(named.groups()).decode().lower().replace("insert into", "insert") if named else "other"
