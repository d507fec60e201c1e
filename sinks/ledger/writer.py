"""The ledger in Postgres: one fenced writer per shard, which owns the balances of its accounts in memory.

A batch is folded in memory and written as one database transaction. While one batch is being written the next is folded,
on books that are a batch ahead of the database; it is written only when the one before it is committed, and folded anew
if that was refused. Whatever fails, nothing is left half done: the database rolls back and the memory forgets it. The
lock and the fence live in the same database as the data, so two writers cannot both be right: the lock keeps the second
one out, and should the first have lost its lock without noticing, its next batch is refused.

The database judges each batch again by rules of its own. If it refuses one, what the memory knows of accounts, periods
or ids may be old, or somebody has posted through the other entry point (`sinks.ledger.single`): it forgets what is no longer
so, and the batch is folded once more. A second refusal is a contradiction, and stops the writer.
"""

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain

import psycopg

from domain.errors import FencedError
from domain.ledger.accounts import Account
from domain.ledger.books import Key, Row, balances
from domain.ledger.journal import Balance, Booked, Heard, Transaction
from sinks.ledger.batches import BATCH_MAX, cut
from sinks.ledger.memory import ACCOUNTS_MAX, LedgerMemory, contradiction, is_refusal
from sinks.ledger.reading import read_books, read_open_holds, read_state, read_taken_back
from sinks.ledger.standby import Beat
from sinks.ledger.taking import give_back, lock_shard, open_missing, take
from sinks.ledger.writing import Link, Prepared, write_batch
from sinks.postgres import connect

Submit = Callable[[Callable[[Prepared], float], Prepared], "Future[float]"]
"""Runs a write now, or in the background."""

_FENCED = "LG007"
_CHANGEABLE = {
    "unknown_account",
    "account_frozen",
    "account_closed",
    "wrong_currency",
    "not_a_leaf",
    "over_limit",
    "over_velocity",
    "closed_period",
}
"""What is refused for these reasons may be allowed by now: accounts, limits and periods change between batches."""


class PostgresLedger:
    """A `Ledger` that keeps what it books; the only writer of its shard while it is open.

    It opens those of the `accounts` that are not there. `batch_max` is how many transactions a batch may have. `on_batch` hears
    of each committed batch: the seconds that were spent on preparing and writing it, and its size. Of accounts with their
    balances it keeps about `accounts_max` in memory. Who writes for another process says so by its `pid`, and whether that one
    `lives`. Raises `FencedError` if another writer has the shard.
    """

    def __init__(
        self,
        dsn: str,
        shard: int = 0,
        *,
        accounts: Sequence[Account],
        batch_max: int = BATCH_MAX,
        accounts_max: int = ACCOUNTS_MAX,
        on_batch: Callable[[float, int], None] | None = None,
        pid: int | None = None,
        lives: Callable[[], bool] = lambda: True,
    ) -> None:
        self._shard = shard
        self._batch_max = batch_max
        self._on_batch = on_batch
        self._writing: tuple[Prepared, Future[float]] | None = None
        with ExitStack() as opened:
            self._connection = opened.enter_context(connect(dsn, "writer", f"ledger {shard}"))
            self._fence = take(self._connection, shard, pid)
            opened.callback(give_back, self._connection, shard)
            self._reading = opened.enter_context(connect(dsn, "writer", f"ledger {shard} reading"))
            self._thread = opened.enter_context(ThreadPoolExecutor(1, f"ledger-{shard}"))
            opened.enter_context(closing(Beat(dsn, shard, self._fence, lives=lives)))
            open_missing(self._connection, accounts)
            self._memory = LedgerMemory(self._reading, shard, accounts_max)
            self._opened = opened.pop_all()

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a run of transactions, cut into batches; equal to posting them one by one. Durable when it returns.

        Raises `FencedError` if the shard was taken, `InvariantError` if the database refuses what the fold accepts, and
        what psycopg raises if the database is out of reach. What was committed before an error stays; post it all
        again.
        """
        return booked(list(self._posted(transactions)))

    def _posted(self, transactions: Sequence[Transaction]) -> Iterator[Prepared]:
        left = len(transactions)
        for batch in self.batches(transactions):
            left -= len(batch)
            yield from self.go_on(batch, self._thread.submit if left else _at_once)
        yield from self.settle()

    def batches(self, transactions: Sequence[Transaction]) -> Iterator[Sequence[Transaction]]:
        """Cut a run into batches, each a transaction of the database."""
        return cut(transactions, self._batch_max)

    def go_on(self, batch: Sequence[Transaction], submit: Submit | None = None) -> list[Prepared]:
        """Fold a batch, and write it in the background once the one before is committed; return that one, if there is one.

        Raises as `post` does, for both of them.
        """
        with self._ahead():
            if self._memory.is_stale:
                self._memory.load()
            prepared, generation = self._memory.prepare(batch), self._memory.generation
            before = self.settle()
            newest = self._newest(prepared, generation)
            self._writing = newest, (submit or self._thread.submit)(self._write, newest)
            return before

    def settle(self) -> list[Prepared]:
        """Wait for the batch that is being written, and return it; none if none is. Raises as `post` does."""
        with self._ahead():
            if self._writing is None:
                return []
            writing, self._writing = self._writing, None
            return [self._settled(*writing)]

    def when_written(self, call: Callable[[], None]) -> None:
        """Call when the batch that is being written is there, or has failed: from the thread that writes, or now."""
        if self._writing is not None:
            self._writing[1].add_done_callback(lambda _: call())

    @property
    def is_writing(self) -> bool:
        """Whether `settle` would have to wait."""
        return self._writing is not None and not self._writing[1].done()

    @contextmanager
    def _ahead(self) -> Iterator[None]:
        """After any error the memory is ahead of the database by what was not written, so it is read anew."""
        try:
            yield
        except BaseException:
            self._memory.is_stale = True
            if self._writing is not None:
                writing, self._writing = self._writing, None
                with suppress(Exception):
                    writing[1].result()
            raise

    def balances(self, keys: Collection[Key] | None = None) -> list[Balance]:
        """The balances of these accounts and currencies, or every one of the shard, in order. Nothing may be on its way."""
        codes = None if keys is None else sorted({code for code, _ in keys})
        rows = read_books(self._reading, self._shard, codes).rows
        return balances(rows, rows if keys is None else keys)

    def open_holds(self) -> list[Transaction]:
        """The holds of the shard that will expire if nothing ends them before, without their entries."""
        return read_open_holds(self._reading, self._shard)

    def heard(self, after_batch_id: int) -> Heard:
        """Read what others have posted to the shard; FencedError if one of them has taken it. Nothing may be on its way."""
        state = read_state(self._reading, self._shard)
        if state.fence != self._fence:
            raise self._fenced()
        changed = self._memory.changed_by_others(state)
        is_news = state.batch_id > after_batch_id
        taken_back = read_taken_back(self._reading, self._shard, after_batch_id) if is_news else []
        return Heard(state.batch_id, changed, taken_back)

    def newest_batch(self) -> int:
        """Return the id of the newest batch of the shard, by whomever it was posted. Nothing may be on its way."""
        return read_state(self._reading, self._shard).batch_id

    def close(self) -> None:
        """Give the shard back; the next writer may take it."""
        self._opened.close()

    def _newest(self, prepared: Prepared, generation: int) -> Prepared:
        """The batch, prepared again if what it was judged by is no longer so."""
        if any(one.verdict.reason in _CHANGEABLE for one in prepared.folded.rejected) and self._memory.has_changed():
            self._memory.load()
        return prepared if self._memory.generation == generation else self._memory.prepare(prepared.transactions)

    def _write(self, prepared: Prepared) -> float:
        began = time.perf_counter()
        if prepared.folded.answered:
            with self._connection.transaction():
                linked = self._write_batch(prepared)
            self._memory.last = linked
        return time.perf_counter() - began

    def _write_batch(self, prepared: Prepared) -> Link:
        try:
            return write_batch(self._connection, self._shard, self._fence, prepared, self._memory.last.hash)
        except psycopg.Error as error:
            if error.sqlstate == _FENCED:
                raise self._fenced() from error
            raise

    def _fenced(self) -> FencedError:
        return FencedError(f"another writer has taken shard {self._shard} of the ledger; this one has to stop")

    def _settled(self, prepared: Prepared, written: "Future[float]") -> Prepared:
        """Wait for the commit; if the database refused the batch, fold and write it once more."""
        try:
            seconds = written.result()
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            prepared, seconds = self._write_again(prepared.transactions)
        self._memory.committed()
        if self._on_batch is not None:
            self._on_batch(prepared.seconds + seconds, len(prepared.transactions))
        return prepared

    def _write_again(self, batch: Sequence[Transaction]) -> tuple[Prepared, float]:
        """Forget what is no longer so and post the batch, while nobody else may post to the shard."""
        began = time.perf_counter()
        try:
            with self._connection.transaction():
                lock_shard(self._connection, self._shard)
                self._memory.catch_up()
                prepared = self._memory.prepare(batch)
                linked = self._write_batch(prepared) if prepared.folded.answered else self._memory.last
            self._memory.last = linked
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            raise contradiction(error) from error
        return prepared, time.perf_counter() - began


def booked(batches: Sequence[Prepared]) -> Booked:
    """Return the answer to a run, from the batches that it was written in: balances as the last of them left them."""
    rows: dict[Key, Row] = {}
    for batch in batches:
        rows |= batch.rows
    return Booked(list(chain.from_iterable(batch.folded.verdicts for batch in batches)), balances(rows, rows))


def _at_once(write: Callable[[Prepared], float], prepared: Prepared) -> "Future[float]":
    """Submit by doing it here: there is nothing to do meanwhile."""
    done: Future[float] = Future()
    try:
        done.set_result(write(prepared))
    except Exception as error:
        done.set_exception(error)
    return done
