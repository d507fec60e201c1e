"""One run: transactions through the writer, and what it took."""

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

import psycopg
from psycopg.errors import InsufficientPrivilege

from app.bench.posting.cpu import Cpu, metered
from app.workers.worker import collect_rarely, switch_quickly
from domain.ledger.accounts import Account
from domain.ledger.journal import Transaction
from sinks.ledger.batches import BATCH_MAX
from sinks.ledger.writer import PostgresLedger

BATCH = 2_000
"""The batch of all variants that are not about the batch."""


class Sample(NamedTuple):
    """How many transactions were handed over, in how long, how many of them were posted, what each batch took, and what
    CPU all of it took if that is known."""

    handed: int
    seconds: float
    posted: int
    batch_seconds: tuple[float, ...] = ()
    cpu: Cpu | None = None

    @property
    def per_second(self) -> float:
        """Transactions per second, whatever became of them."""
        return self.handed / self.seconds


class Writer(NamedTuple):
    """A ledger that is open, and the seconds of each batch that it has committed."""

    dsn: str
    ledger: PostgresLedger
    batch_seconds: list[float]


@contextmanager
def writer(dsn: str, batch: int | None, shard: int = 0, accounts: Sequence[Account] = ()) -> Iterator[Writer]:
    """Open a ledger in a process that is set as a worker's is; without `batch` its batches are of its own size."""
    took: list[float] = []

    def note(seconds: float, _transactions: int) -> None:
        took.append(seconds)

    switch_quickly()
    with closing(PostgresLedger(dsn, shard, batch_max=batch or BATCH_MAX, accounts=accounts, on_batch=note)) as ledger:
        yield Writer(dsn, ledger, took)


def posted(
    dsn: str,
    transactions: Sequence[Transaction],
    batch: int | None,
    warm: Sequence[Transaction] = (),
    shard: int = 0,
    accounts: Sequence[Account] = (),
) -> Sample:
    """Post `warm` untimed, then `transactions` in batches of `batch`."""
    with writer(dsn, batch, shard, accounts) as opened:
        settle(dsn)
        opened.ledger.post(warm)
        return timed(opened, transactions)


def timed(opened: Writer, transactions: Sequence[Transaction]) -> Sample:
    """Post them all in one call, which overlaps the fold of a batch with the write of the one before."""
    opened.batch_seconds.clear()
    collect_rarely()
    with metered(opened.dsn) as taken:
        began = time.perf_counter()
        booked = opened.ledger.post(transactions)
        seconds = time.perf_counter() - began
    accepted = sum(verdict.outcome == "posted" for verdict in booked.verdicts)
    return Sample(len(transactions), seconds, accepted, tuple(opened.batch_seconds), *taken)


def settle(dsn: str) -> None:
    """Have a checkpoint behind us, if we may ask for one: no variant pays for what the one before it left to be written.

    The pages that a checkpoint makes be written whole once more are those that warming up touches first.
    """
    with psycopg.connect(dsn, autocommit=True) as connection, suppress(InsufficientPrivilege):
        connection.execute("CHECKPOINT")
