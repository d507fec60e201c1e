"""What became of postings of the settlement, with what their customers have after each of them.

The ledger answers a batch with the balances at its end. What an account had after each posting of the batch follows from that,
back from the last: each entry moved it by its amount, and its version by one.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from domain.ledger.journal import Booked, Outcome, Transaction, Verdict
from domain.streams.records import Record

DEBTS = "CUSTOMER_DEBT/"
CUSTOMERS = ("CUSTOMER/", "CUSTOMER_LOCKED/", DEBTS)


class After(NamedTuple):
    """What an account of a customer has of an asset, never negative, and its version, which counts its entries."""

    account: str
    asset: str
    balance: int
    version: int


class Settled(NamedTuple):
    """A posting, what became of it, and what its customers' accounts came to; None where it was booked before, or is not."""

    transaction: Transaction
    verdict: Verdict
    after: tuple[After, ...] | None


def settled(window: Sequence[Record[Transaction]], booked: Booked) -> Iterator[tuple[int, Settled]]:
    """Yield what became of the postings of a batch, in order, with their times."""
    now = {(one.account, one.currency): (abs(one.settled), one.version) for one in booked.balances}
    told: list[tuple[int, Settled]] = []
    for record, verdict in zip(reversed(window), reversed(booked.verdicts), strict=True):
        after = _undone(now, record.value) if verdict.outcome is Outcome.POSTED else None
        told.append((record.at_ms, Settled(record.value, verdict, after)))
    return reversed(told)


def _undone(now: dict[tuple[str, str], tuple[int, int]], transaction: Transaction) -> tuple[After, ...]:
    """Return what customers' accounts have after a posting, and go back to what they had before it."""
    after: list[After] = []
    for account, asset, _, side, amount in transaction.entries:
        if account.startswith(CUSTOMERS):
            balance, version = now[account, asset]
            after.append(After(account, asset, balance, version))
            # What is owed to us grows by debits, the other two by credits.
            lost = -amount * side if account.startswith(DEBTS) else amount * side
            now[account, asset] = balance + lost, version - 1
    return tuple(after)
