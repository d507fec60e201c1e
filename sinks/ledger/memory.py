"""What a writer keeps in memory of its shard: balances, recent ids, the last hash, and what is on its way to the database.

A batch that was prepared is taken over at once, so the next one can be prepared before it is committed. Until it is, the
database cannot tell of it: what is read there is overlaid with what the batch on its way has changed.
"""

import time
from collections.abc import Sequence

import psycopg

from domain.errors import InvariantError
from domain.ledger.books import Books, Known, Origin, Window, balances
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Balance, Entry, Layer, Transaction
from domain.ledger.judge import Folded
from domain.ledger.velocity import windows
from sinks.ledger.ids import LOWEST, RecentIds
from sinks.ledger.reading import (
    read_books,
    read_greatest_id,
    read_known,
    read_last_hash,
    read_origins,
    read_revision,
    read_used,
)
from sinks.ledger.rows import render
from sinks.ledger.writing import Prepared
from sinks.postgres import Connection


class LedgerMemory:
    """The books of one shard, as of the last batch that was prepared; `last_hash` is that of the last one committed."""

    def __init__(self, connection: Connection, shard: int) -> None:
        self._connection = connection
        self._shard = shard
        self.generation = 0
        self.load()

    def load(self) -> None:
        """Read everything anew; what was prepared and not committed is forgotten. `generation` counts how often."""
        self.generation += 1
        self._revision = read_revision(self._connection, self._shard)
        self.books: Books = read_books(self._connection, self._shard)
        self._has_velocities = any(account.velocities for account in self.books.accounts.values())
        self._ids = RecentIds(read_greatest_id(self._connection) or LOWEST)
        self.last_hash = read_last_hash(self._connection, self._shard)
        self._ahead: Folded | None = None
        self.is_stale = False

    def prepare(self, batch: Sequence[Transaction]) -> Prepared:
        """Fold and render a batch, and go on from it."""
        began = time.perf_counter()
        ids = [transaction.id for transaction in batch]
        self.books.known = self._known(ids)
        named = causes_of(batch)
        self.books.origins = read_origins(self._connection, sorted(named))
        if self._ahead is not None:
            self.books.origins |= _origins_ahead(self._ahead, named)
        # Most books have no velocity limit, and then no transaction needs to be looked at for one.
        self.books.used = read_used(self._connection, windows_of(self.books, batch)) if self._has_velocities else {}
        if self._ahead is not None:
            self.books.used |= self._ahead.used
        folded = fold(self.books, batch)
        rendered = render(self.books, folded)
        advance(self.books, folded)
        if folded.answered:
            self._ids.remember(folded.answered)
        self._ahead = folded
        return Prepared(batch, folded, rendered, time.perf_counter() - began)

    def caught_up(self, last_hash: bytes) -> list[Balance]:
        """Read everything anew if the chain has gone on without this writer, and return the balances that changed by it."""
        if last_hash == self.last_hash and not self.is_stale:
            return []
        before = self.books.rows
        self.load()
        rows = self.books.rows
        return balances(rows, [key for key, row in rows.items() if row != before.get(key)])

    def has_changed(self) -> bool:
        """Whether accounts, limits or periods have changed since they were read."""
        return read_revision(self._connection, self._shard) != self._revision

    def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        known = read_known(self._connection, self._ids.doubtful(ids)) | self._ids.known_of(ids)
        if self._ahead is not None:
            answered = self._ahead.answered
            known |= {id_: answered[id_] for id_ in ids if id_ in answered}
        return known


def causes_of(batch: Sequence[Transaction]) -> set[str]:
    """The transactions that a batch names as causes."""
    return {transaction.cause.transaction_id for transaction in batch if transaction.cause is not None}


def windows_of(books: Books, batch: Sequence[Transaction]) -> set[Window]:
    """The windows of velocity limits that a batch can fall into; the books know what it names as causes."""
    return {window for transaction in batch for window in _windows(books, transaction)}


def _origins_ahead(ahead: Folded, named: set[str]) -> dict[str, Origin]:
    just_posted = named & ahead.answered.keys() - ahead.origins.keys()
    posted = {one.transaction.id: one.transaction for one in ahead.posted} if just_posted else {}
    return {id_: origin_of(posted[id_]) for id_ in just_posted & posted.keys()} | {
        id_: ahead.origins[id_] for id_ in named & ahead.origins.keys()
    }


def _windows(books: Books, transaction: Transaction) -> set[Window]:
    origin = transaction.cause and books.origins.get(transaction.cause.transaction_id)
    if not origin or transaction.reverses is not None:
        return windows(books.accounts, transaction.entries, transaction.effective_at_ms)
    held = [Entry(account, currency, Layer(layer), side, 0) for account, currency, layer, side in origin.held]
    return windows(books.accounts, [*transaction.entries, *held], origin.effective_at_ms)


def is_refusal(error: psycopg.Error) -> bool:
    """Whether the database judged against a batch, rather than being out of reach."""
    return (error.sqlstate or "")[:2] in ("22", "23", "LG")


def contradiction(error: psycopg.Error) -> InvariantError:
    """What a refusal is when the batch was judged by what the database itself has just said."""
    return InvariantError(f"the database refuses what the ledger has accepted: {error.diag.message_primary}")
