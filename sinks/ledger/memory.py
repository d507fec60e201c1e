"""What a writer keeps in memory of its shard: accounts with their balances, recent ids, the end of the chain, and what is on
its way to the database.

An account is read when a batch touches it, with its limits and all of its balances, and kept while it is hot: when there are
too many, those go that no batch has touched for longest. So a start reads nothing but where the shard stands. What the memory
says can be wrong in three ways, and each is forgotten by itself: what was prepared and not committed, what others have booked
in the batches after the last one known, and, when accounts, limits or periods have changed, everything.

A batch that was prepared is taken over at once, so the next one can be prepared before it is committed. Until it is, the
database cannot tell of it: what is read there is overlaid with what the batch on its way has changed, and no account that it
has touched is given up.
"""

import time
from collections.abc import Collection, Iterable, Sequence

import psycopg

from domain.errors import InvariantError
from domain.ledger.accounts import opened
from domain.ledger.books import Books, Key, Known, Origin, Window, balances
from domain.ledger.causes import origin_of
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Balance, Entry, Layer, Transaction
from domain.ledger.judge import Folded
from domain.ledger.velocity import windows
from sinks.ledger.ids import LOWEST, RecentIds
from sinks.ledger.reading import State, read_books, read_changed, read_known, read_origins, read_state, read_used
from sinks.ledger.rows import render
from sinks.ledger.taking import open_below
from sinks.ledger.writing import Link, Prepared
from sinks.postgres import Connection

ACCOUNTS_MAX = 400_000
"""How many accounts are kept: with two balances each they take about as many kilobytes."""


class LedgerMemory:
    """The books of one shard, as of the last batch that was prepared; `last` is the last one committed."""

    def __init__(self, connection: Connection, shard: int, accounts_max: int = ACCOUNTS_MAX) -> None:
        self._connection = connection
        self._shard = shard
        self._accounts_max = accounts_max
        self.generation = 0
        self._number = 0
        self._told_by_others: set[Key] = set()
        self._start(read_state(connection, shard))

    def load(self) -> None:
        """Forget everything, what was prepared and not committed included. `generation` counts how often something was."""
        state = read_state(self._connection, self._shard)
        self._note_others(state)
        self._start(state)

    def catch_up(self) -> None:
        """Forget what was prepared and not committed, and what has changed since the last batch that was."""
        state = read_state(self._connection, self._shard)
        changed = self._note_others(state)
        if state.revision != self._revision or state.batch_id < self.last.batch_id:
            self._start(state)
            return
        for key in {key for folded in self._unwritten for key in folded.rows}:
            self.books.rows.pop(key, None)
            self.books.accounts.pop(key[0], None)
        # Their balances are in the database, and replace those in memory when they are read.
        for code, _ in changed:
            self.books.accounts.pop(code, None)
        self._stand(state)

    def _start(self, state: State) -> None:
        self.books = Books({}, closed_until_ms=state.closed_until_ms)
        self._last_used: dict[str, int] = {}
        self._has_velocities = False
        self._stand(state)

    def _stand(self, state: State) -> None:
        self.generation += 1
        self._revision = state.revision
        self._ids = RecentIds(state.greatest_id or LOWEST)
        self.last = Link(state.batch_id, state.hash)
        self._unwritten: list[Folded] = []
        self._ahead: Folded | None = None
        self.is_stale = False

    def _note_others(self, state: State) -> set[Key]:
        """Return the balances that batches of others have changed, and keep in mind to tell of them."""
        is_news = state.batch_id > self.last.batch_id
        changed = read_changed(self._connection, self._shard, self.last.batch_id) if is_news else set()
        self._told_by_others |= changed
        return changed

    def prepare(self, batch: Sequence[Transaction]) -> Prepared:
        """Fold and render a batch, and go on from it."""
        began = time.perf_counter()
        ids = [transaction.id for transaction in batch]
        self.books.known = self._known(ids)
        named = causes_of(batch)
        self.books.origins = read_origins(self._connection, sorted(named))
        if self._ahead is not None:
            self.books.origins |= _origins_ahead(self._ahead, named)
        self._number += 1
        self._have(accounts_of(batch, self.books.origins.values()))
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
        self._unwritten.append(folded)
        rows = {key: self.books.rows[key] for key in folded.seen if key in self.books.rows}
        return Prepared(batch, folded, rendered, rows, time.perf_counter() - began)

    def committed(self) -> None:
        """Take it that of what was prepared the oldest is in the database now."""
        del self._unwritten[:1]

    def balances(self, keys: Collection[Key]) -> list[Balance]:
        """The balances of these keys in order, leaving out those without entries. Nothing may be on its way."""
        self._have({code for code, _ in keys})
        return balances(self.books.rows, keys)

    def changed_by_others(self, state: State) -> list[Balance]:
        """The balances that others have changed since this was asked last, up to where the shard stands now."""
        if self.is_stale:
            self.load()
        elif state.hash != self.last.hash:
            self.catch_up()
        changed, self._told_by_others = self._told_by_others, set()
        return self.balances(changed)

    def has_changed(self) -> bool:
        """Whether accounts, limits or periods have changed since it was asked where the shard stands."""
        return read_state(self._connection, self._shard).revision != self._revision

    def _have(self, codes: set[str]) -> None:
        """Read those of the accounts that are not in memory, once there is room for them."""
        if len(self.books.accounts) > self._accounts_max:
            self._forget_oldest()
        missing = codes - self.books.accounts.keys()
        if missing:
            self._read(missing)
            self._open(missing - self.books.accounts.keys())
        self._last_used.update(dict.fromkeys(codes & self.books.accounts.keys(), self._number))

    def _read(self, codes: Collection[str]) -> None:
        found = read_books(self._connection, self._shard, [code for code in codes if is_storable(code)])
        self.books.accounts.update(found.accounts)
        self.books.rows.update(found.rows)
        self.books.summaries |= found.summaries
        self._has_velocities |= any(account.velocities for account in found.accounts.values())

    def _open(self, codes: Collection[str]) -> None:
        """Open those of the accounts that open by themselves, and read them."""
        named = [account for account in map(opened, sorted(codes)) if account is not None and is_storable(account.code)]
        fresh = [account for account in named if account.shard == self._shard]
        if fresh:
            open_below(self._connection, fresh)
            self._read([account.code for account in fresh])

    def _forget_oldest(self) -> None:
        """Keep the half that was touched last, and what the batch before this one has touched, which may be on its way."""
        touched = sorted(self._last_used.values(), reverse=True)
        oldest = min(touched[min(self._accounts_max // 2, len(touched) - 1)], self._number - 1)
        self._last_used = {code: number for code, number in self._last_used.items() if number >= oldest}
        kept = self._last_used
        self.books.accounts = {code: account for code, account in self.books.accounts.items() if code in kept}
        self.books.rows = {key: row for key, row in self.books.rows.items() if key[0] in kept}
        self.books.summaries &= kept.keys()

    def _known(self, ids: Sequence[str]) -> dict[str, Known]:
        known = read_known(self._connection, self._ids.doubtful(ids)) | self._ids.known_of(ids)
        if self._ahead is not None:
            answered = self._ahead.answered
            known |= {id_: answered[id_] for id_ in ids if id_ in answered}
        return known


def accounts_of(batch: Sequence[Transaction], origins: Iterable[Origin]) -> set[str]:
    """The codes of the accounts that a batch can touch: those of its entries, and of what is held by what it names."""
    held = {account for origin in origins for account, *_ in origin.held}
    return held | {entry[0] for transaction in batch for entry in transaction.entries}


def is_storable(text: str) -> bool:
    """Whether the database could have a text like this, and may be asked for it."""
    return "\x00" not in text and text.encode(errors="replace").decode() == text


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
