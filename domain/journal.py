"""The journal: what a transaction is, and what a ledger answers.

A transaction is two or more entries that balance per currency *and* per layer. An entry has a side and a non-zero amount
in minor units; a negative amount takes back part of that side, as releases of a hold and the reversals of the reference
system do. What an entry does to a balance is `side * amount`, debits positive.

Posting is the only way in, and it answers with one verdict per transaction that is the same for ever: the id decides.
The same id with the same body changes nothing, with another body it is a conflict, and an id that was rejected stays
rejected (TigerBeetle's rule, `id_already_failed`).
"""

from collections.abc import Mapping, Sequence
from enum import IntEnum, StrEnum
from typing import Any, NamedTuple, Protocol


class Layer(IntEnum):
    """Settled is money that moved, pending is held, encumbered is promised."""

    SETTLED = 1
    PENDING = 2
    ENCUMBERED = 3


DEBIT, CREDIT = 1, -1


class Entry(NamedTuple):
    """One leg of a transaction. `account` is its code, `side` is DEBIT or CREDIT, `amount` is in minor units."""

    account: str
    currency: str
    layer: Layer
    side: int
    amount: int


class Transaction(NamedTuple):
    """A posting: what is to be booked, and where it came from.

    `effective_at_ms` is when it happened. `correlation_id` joins all transactions about one matter, `reverses` names the
    transaction that this one takes back, `source` and `source_offset` are the coordinates of the message that caused it.
    `meta` holds plain JSON values.
    """

    id: str
    template: str
    effective_at_ms: int
    entries: tuple[Entry, ...]
    correlation_id: str
    source: str
    source_offset: int
    meta: Mapping[str, Any]
    reverses: str | None = None


class Outcome(StrEnum):
    POSTED = "posted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REJECTED = "rejected"


class Verdict(NamedTuple):
    """What became of one transaction; `reason` is a stable code, `shortfall` is in minor units of `currency`."""

    transaction_id: str
    outcome: Outcome
    reason: str | None = None
    account: str | None = None
    currency: str | None = None
    shortfall: int | None = None


class Balance(NamedTuple):
    """One account in one currency, all layers; `version` counts its entries, without gaps."""

    account: str
    currency: str
    version: int
    settled_debit: int
    settled_credit: int
    pending_debit: int
    pending_credit: int
    encumbered_debit: int
    encumbered_credit: int

    @property
    def settled(self) -> int:
        """Debits less credits, in minor units; turn the sign for a credit-normal account."""
        return self.settled_debit - self.settled_credit


class Booked(NamedTuple):
    """The answer to a batch: a verdict per transaction, in order, and the balances that it touched, duplicates' included."""

    verdicts: Sequence[Verdict]
    balances: Sequence[Balance]


class Ledger(Protocol):
    """What the booking step needs of a ledger: the one in Postgres and the one in memory both are this."""

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a batch; equal to posting its transactions one by one. Durable when it returns."""
        ...

    def balances(self) -> Sequence[Balance]:
        """Every balance there is, in order of account and currency."""
        ...

    def correlated(self, correlation_ids: Sequence[str]) -> Sequence[Transaction]:
        """The posted transactions of these matters, without their entries, oldest first."""
        ...

    def close(self) -> None:
        """Give the ledger back; the next writer may take it."""
        ...
