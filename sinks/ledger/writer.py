"""The ledger in Postgres: one fenced writer per shard, which owns the balances of its accounts in memory.

A batch is folded in memory and written as one database transaction. While one batch is being written the next is folded,
on books that are a batch ahead of the database; it is written only when the one before it is committed, and folded anew
if that was refused. Whatever fails, nothing is left half done: the database rolls back and the memory is read anew. The
lock and the fence live in the same database as the data, so two writers cannot both be right: the lock keeps the second
one out, and should the first have lost its lock without noticing, its next batch is refused.

The database judges each batch again by rules of its own. If it refuses one, what the memory knows of accounts, periods
or ids may be old, or somebody has posted through the other entry point (`sinks.ledger.single`): it is read anew and the
batch folded once more. A second refusal is a contradiction, and stops the writer.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from itertools import chain

import psycopg

from domain.errors import FencedError
from domain.ledger.accounts import Account
from domain.ledger.books import balances
from domain.ledger.journal import Balance, Booked, Heard, Transaction
from domain.ledger.judge import Folded
from sinks.ledger.batches import BatchSize, cut
from sinks.ledger.memory import LedgerMemory, contradiction, is_refusal
from sinks.ledger.reading import read_head, read_open_holds, read_taken_back
from sinks.ledger.standby import Beat
from sinks.ledger.taking import lock_shard, open_missing, take
from sinks.ledger.writing import Prepared, write_batch
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

    It opens those of the `accounts` that are not there. `batch_max` fixes how many transactions a batch has; left out, it
    follows the time that batches take. `on_batch` hears of each committed batch: the seconds that were spent on preparing
    and writing it, and its size. Raises `FencedError` if another writer has the shard.
    """

    def __init__(
        self,
        dsn: str,
        shard: int = 0,
        *,
        accounts: Sequence[Account],
        batch_max: int | None = None,
        on_batch: Callable[[float, int], None] | None = None,
    ) -> None:
        self._shard = shard
        self._size = BatchSize(batch_max)
        self._on_batch = on_batch
        with ExitStack() as opened:
            self._connection = opened.enter_context(connect(dsn, "writer", f"ledger {shard}"))
            self._reading = opened.enter_context(connect(dsn, "writer", f"ledger {shard} reading"))
            self._thread = opened.enter_context(ThreadPoolExecutor(1, f"ledger-{shard}"))
            self._fence = take(self._connection, shard)
            opened.enter_context(closing(Beat(dsn, shard, self._fence)))
            open_missing(self._connection, accounts)
            self._memory = LedgerMemory(self._reading, shard)
            self._opened = opened.pop_all()

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a run of transactions, cut into batches; equal to posting them one by one. Durable when it returns.

        Raises `FencedError` if the shard was taken, `InvariantError` if the database refuses what the fold accepts, and
        what psycopg raises if the database is out of reach. What was committed before an error stays; post it all
        again.
        """
        if self._memory.is_stale:
            self._memory.load()
        folded = list(self._posted(transactions))
        seen = set(chain.from_iterable(one.seen for one in folded))
        verdicts = list(chain.from_iterable(one.verdicts for one in folded))
        return Booked(verdicts, balances(self._memory.books.rows, seen))

    def balances(self) -> list[Balance]:
        """Every balance of the shard, in order of account and currency."""
        if self._memory.is_stale:
            self._memory.load()
        rows = self._memory.books.rows
        return balances(rows, rows)

    def open_holds(self) -> list[Transaction]:
        """The holds of the shard that will expire if nothing ends them before, without their entries."""
        return read_open_holds(self._reading, self._shard)

    def heard(self, after_batch_id: int) -> Heard:
        """Read what others have posted to the shard; FencedError if one of them has taken it. Nothing may be on its way."""
        head = read_head(self._reading, self._shard)
        if head.fence != self._fence:
            raise self._fenced()
        changed = self._memory.caught_up(head.hash)
        is_news = head.batch_id > after_batch_id
        taken_back = read_taken_back(self._reading, self._shard, after_batch_id) if is_news else []
        return Heard(head.batch_id, changed, taken_back)

    def newest_batch(self) -> int:
        """Return the id of the newest batch of the shard, by whomever it was posted. Nothing may be on its way."""
        return read_head(self._reading, self._shard).batch_id

    def close(self) -> None:
        """Give the shard back; the next writer may take it."""
        self._opened.close()

    def _posted(self, transactions: Sequence[Transaction]) -> Iterator[Folded]:
        """Fold each batch while the one before it is written, and give it when it is committed."""
        left = len(transactions)
        before: tuple[Prepared, Future[float]] | None = None
        try:
            for batch in cut(transactions, self._size):
                left -= len(batch)
                prepared, generation = self._memory.prepare(batch), self._memory.generation
                if before is not None:
                    writing, before = before, None
                    yield self._settled(*writing)
                submit = self._thread.submit if left else _at_once
                newest = self._newest(prepared, generation)
                before = newest, submit(self._write, newest)
            if before is not None:
                writing, before = before, None
                yield self._settled(*writing)
        except BaseException:
            # The memory is ahead of the database by what was not written.
            self._memory.is_stale = True
            if before is not None:
                with suppress(Exception):
                    before[1].result()
            raise

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
            self._memory.last_hash = linked
        return time.perf_counter() - began

    def _write_batch(self, prepared: Prepared) -> bytes:
        try:
            return write_batch(self._connection, self._shard, self._fence, prepared, self._memory.last_hash)
        except psycopg.Error as error:
            if error.sqlstate == _FENCED:
                raise self._fenced() from error
            raise

    def _fenced(self) -> FencedError:
        return FencedError(f"another writer has taken shard {self._shard} of the ledger; this one has to stop")

    def _settled(self, prepared: Prepared, written: "Future[float]") -> Folded:
        """Wait for the commit; if the database refused the batch, fold and write it once more."""
        try:
            seconds = written.result()
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            prepared, seconds = self._write_again(prepared.transactions)
        self._size.took(len(prepared.transactions), seconds)
        if self._on_batch is not None:
            self._on_batch(prepared.seconds + seconds, len(prepared.transactions))
        return prepared.folded

    def _write_again(self, batch: Sequence[Transaction]) -> tuple[Prepared, float]:
        """Read everything anew and post the batch, while nobody else may post to the shard."""
        began = time.perf_counter()
        try:
            with self._connection.transaction():
                lock_shard(self._connection, self._shard)
                self._memory.load()
                prepared = self._memory.prepare(batch)
                linked = self._write_batch(prepared) if prepared.folded.answered else self._memory.last_hash
            self._memory.last_hash = linked
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            raise contradiction(error) from error
        return prepared, time.perf_counter() - began


def _at_once(write: Callable[[Prepared], float], prepared: Prepared) -> "Future[float]":
    """Submit by doing it here: there is nothing to do meanwhile."""
    done: Future[float] = Future()
    try:
        done.set_result(write(prepared))
    except Exception as error:
        done.set_exception(error)
    return done
