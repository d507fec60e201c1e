"""The ledger in Postgres: one fenced writer per shard, which owns the balances of its accounts in memory.

A batch is folded in memory and written as one database transaction; only when that is committed does the memory go on.
Whatever fails, nothing is left half done: the database rolls back and the memory is read anew. The lock and the fence
live in the same database as the data, so two writers cannot both be right: the lock keeps the second one out, and
should the first have lost its lock without noticing, its next batch is refused.

The database judges each batch again by rules of its own. If it refuses one, what the memory knows of accounts, periods
or ids may be old: it is read anew and the batch folded once more. A second refusal is a contradiction, and stops the
writer.
"""

import os
import socket
from collections.abc import Sequence

import psycopg

from domain.accounts import CHART, Account
from domain.books import Books, Key, balances
from domain.errors import FencedError, InvariantError
from domain.fold import Folded, advance, fold
from domain.journal import Balance, Booked, Transaction, Verdict
from sinks.ledger_ids import LOWEST, RecentIds
from sinks.ledger_reading import (
    NO_HASH,
    Connection,
    read_books,
    read_correlated,
    read_greatest_id,
    read_known,
    read_last_hash,
    read_originals,
)
from sinks.ledger_rows import render
from sinks.ledger_writing import Batch, write_batch

BATCH_MAX = 2_000
"""Transactions per batch: above it the time of a batch grows and the throughput does not."""

LOCK_CLASS = 0x42414C4C
"""The class of our advisory locks; the shard is the lock's number."""

_FENCED = "LG007"
_CHANGEABLE = {
    "unknown_account",
    "account_frozen",
    "account_closed",
    "wrong_currency",
    "over_limit",
    "closed_period",
}
_TAKE = """
    INSERT INTO ledger.writer (shard, fence, host, pid) VALUES (%s, 1, %s, %s)
    ON CONFLICT (shard) DO UPDATE SET fence = writer.fence + 1, host = excluded.host, pid = excluded.pid, since = now()
    RETURNING fence
"""
_HOLDER = "SELECT host, pid, since FROM ledger.writer WHERE shard = %s"
_REVISION = "SELECT reference_revision FROM ledger.writer WHERE shard = %s"
_OPEN_ACCOUNT = """
    INSERT INTO ledger.account (account_id, code, normal_side, journal, currency, meaning, min_available, max_balance)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""


class PostgresLedger:
    """A `Ledger` that keeps what it books; the only writer of its shard while it is open.

    Raises `FencedError` if another writer has the shard.
    """

    def __init__(self, dsn: str, shard: int = 0, *, batch_max: int = BATCH_MAX, accounts: Sequence[Account] = CHART) -> None:
        self._shard = shard
        self._batch_max = batch_max
        self._last_hash = NO_HASH
        self._connection = psycopg.connect(dsn, autocommit=True, application_name=f"ballast ledger {shard}")
        try:
            self._fence = _take(self._connection, shard)
            _open_missing(self._connection, accounts)
            self._load()
        except BaseException:
            self._connection.close()
            raise

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a batch; equal to posting its transactions one by one. Durable when it returns.

        Raises `FencedError` if the shard was taken, `InvariantError` if the database refuses what the fold accepts, and
        what psycopg raises if the database is out of reach. What was committed before an error stays; post it all
        again.
        """
        verdicts: list[Verdict] = []
        seen: set[Key] = set()
        for start in range(0, len(transactions), self._batch_max):
            folded = self._post_batch(transactions[start : start + self._batch_max])
            verdicts += folded.verdicts
            seen |= folded.seen
        return Booked(verdicts, balances(self._books.rows, seen))

    def balances(self) -> list[Balance]:
        """Every balance of the shard, in order of account and currency."""
        self._load_if_stale()
        return balances(self._books.rows, self._books.rows)

    def correlated(self, correlation_ids: Sequence[str]) -> list[Transaction]:
        """The posted transactions of these matters, without their entries, oldest first."""
        return read_correlated(self._connection, correlation_ids)

    def close(self) -> None:
        """Give the shard back; the next writer may take it."""
        self._connection.close()

    def _post_batch(self, batch: Sequence[Transaction]) -> Folded:
        try:
            return self._fold_and_write(batch)
        except psycopg.Error as error:
            self._stale = True
            if not _refused(error):
                raise
        try:
            return self._fold_and_write(batch)
        except psycopg.Error as error:
            self._stale = True
            if not _refused(error):
                raise
            msg = f"the database refuses what the ledger has accepted: {error.diag.message_primary}"
            raise InvariantError(msg) from error

    def _fold_and_write(self, batch: Sequence[Transaction]) -> Folded:
        self._load_if_stale()
        folded = self._fold(batch)
        if any(refused.verdict.reason in _CHANGEABLE for refused in folded.rejected) and self._has_changed():
            self._load()
            folded = self._fold(batch)
        if folded.answered:
            self._write(batch, folded)
        return folded

    def _fold(self, batch: Sequence[Transaction]) -> Folded:
        ids = [transaction.id for transaction in batch]
        originals = [transaction.reverses for transaction in batch if transaction.reverses is not None]
        self._books.known = read_known(self._connection, self._ids.doubtful(ids)) | self._ids.known_of(ids)
        self._books.originals = read_originals(self._connection, originals)
        return fold(self._books, batch)

    def _write(self, batch: Sequence[Transaction], folded: Folded) -> None:
        rendered = render(folded, self._last_hash)
        self._stale = True
        try:
            with self._connection.transaction():
                write_batch(self._connection, Batch(self._shard, self._fence, batch, folded, rendered), self._books)
        except psycopg.Error as error:
            if error.sqlstate == _FENCED:
                msg = f"another writer has taken shard {self._shard} of the ledger; this one has to stop"
                raise FencedError(msg) from error
            raise
        self._stale = False
        self._last_hash = rendered.hash
        advance(self._books, folded)
        self._ids.remember(folded.answered)

    def _load_if_stale(self) -> None:
        if self._stale:
            self._load()

    def _load(self) -> None:
        self._revision = self._read_revision()
        self._books: Books = read_books(self._connection, self._shard)
        self._ids = RecentIds(read_greatest_id(self._connection) or LOWEST)
        self._last_hash = read_last_hash(self._connection, self._shard)
        self._stale = False

    def _has_changed(self) -> bool:
        return self._read_revision() != self._revision

    def _read_revision(self) -> int:
        row = self._connection.execute(_REVISION, (self._shard,)).fetchone()
        return int(row[0]) if row else 0


def _take(connection: Connection, shard: int) -> int:
    """Lock the shard and raise its fence."""
    row = connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (LOCK_CLASS, shard)).fetchone()
    if not row or not row[0]:
        holder = connection.execute(_HOLDER, (shard,)).fetchone()
        who = f"pid {holder[1]} on {holder[0]}, since {holder[2]:%Y-%m-%d %H:%M:%S}" if holder else "just starting"
        msg = f"another writer holds the ledger ({who}); stop it first"
        raise FencedError(msg)
    taken = connection.execute(_TAKE, (shard, socket.gethostname(), os.getpid())).fetchone()
    return int(taken[0]) if taken else 0


def _open_missing(connection: Connection, accounts: Sequence[Account]) -> None:
    """Open the accounts of the chart that are not there; those that are stay as they are."""
    known = {row[0] for row in connection.execute("SELECT code FROM ledger.account")}
    missing = [account for account in accounts if account.code not in known]
    if missing:
        with connection.cursor() as cursor:
            cursor.executemany(_OPEN_ACCOUNT, [account[:8] for account in missing])


def _refused(error: psycopg.Error) -> bool:
    """Whether the database judged against the batch, rather than being out of reach."""
    return (error.sqlstate or "")[:2] in ("22", "23", "LG")
