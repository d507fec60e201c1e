"""The journal: what a transaction is, and what a ledger answers.

A transaction is two or more entries that balance per currency *and* per layer. An entry has a side and a non-zero amount
in minor units; a negative amount takes back part of that side, as releases of a hold and the reversals of the reference
system do. What an entry does to a balance is `side * amount`, debits positive.

Posting is the only way in, and it answers with one verdict per transaction that is the same for ever: the id decides.
The same id with the same body changes nothing, with another body it is a conflict, and an id that was rejected stays
rejected (TigerBeetle's rule, `id_already_failed`).

A hold is a transaction with entries in the pending or encumbered layer. What is held leaves those layers again only by a
transaction that names the hold as its cause: a capture releases it in parts or whole, by entries of its own; a void and an
expiry carry no entries, for the ledger itself adds those that release what is left, as it does for a final capture. So
whoever ends a hold need not know what others have captured of it meanwhile.
"""

from collections.abc import Callable, Collection, Sequence
from enum import IntEnum, StrEnum
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.json import Decoder


class Layer(IntEnum):
    """Settled is money that moved, pending is held, encumbered is promised."""

    SETTLED = 1
    PENDING = 2
    ENCUMBERED = 3


DEBIT, CREDIT = 1, -1


class Relation(StrEnum):
    """What a transaction does to the one that it names as its cause."""

    REVERSES = "reverses"
    CAPTURES = "captures"
    VOIDS = "voids"
    EXPIRES = "expires"


class Cause(NamedTuple):
    """The transaction that another one is about. A capture that is not final leaves the rest of the hold held."""

    relation: Relation
    transaction_id: str
    is_final: bool = True


class Group(NamedTuple):
    """Transactions that are accepted or refused together: `size` of them, one after the other in one batch."""

    id: str
    size: int


class Entry(NamedTuple):
    """One leg of a transaction. `account` is its code, `side` is DEBIT or CREDIT, `amount` is in minor units."""

    account: str
    currency: str
    layer: Layer
    side: int
    amount: int


class Transaction(NamedTuple):
    """A posting: what is to be booked, and where it came from.

    `effective_at_ms` is when it happened. `correlation_id` joins all transactions about one matter, `cause` names the one
    that this one reverses, captures, voids or lets expire, `source` and `source_offset` are the coordinates of the message
    behind it. `meta` is canonical JSON, as `domain/ledger/body.py` writes it. From `expires_at_ms` on, a hold can only expire.
    """

    id: str
    template: str
    effective_at_ms: int
    entries: tuple[Entry, ...]
    correlation_id: str
    source: str
    source_offset: int
    meta: str
    cause: Cause | None = None
    expires_at_ms: int | None = None
    group: Group | None = None

    @property
    def reverses(self) -> str | None:
        """The transaction that this one takes back, if it takes one back."""
        return self.cause.transaction_id if self.cause and self.cause.relation is Relation.REVERSES else None


def reversal_of(transaction_id: str) -> Cause:
    """The cause of a transaction that takes another one back."""
    return Cause(Relation.REVERSES, transaction_id)


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


class Judged(NamedTuple):
    """A posting and what became of it."""

    transaction: Transaction
    verdict: Verdict


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


class Matter(NamedTuple):
    """What transactions are about, and when they are effective: from `since_ms` on and before `until_ms`."""

    correlation_id: str
    since_ms: int
    until_ms: int


class TakenBack(NamedTuple):
    """A reversal that a person has posted, and what it takes back; both without their entries."""

    reversal: Transaction
    original: Transaction


class Heard(NamedTuple):
    """What others have posted to a shard beside its writer, up to a batch: the balances that they changed, in full, and
    what they took back."""

    batch_id: int
    balances: Sequence[Balance] = ()
    taken_back: Sequence[TakenBack] = ()


class Ledger(Protocol):
    """What the booking step needs of a ledger: the one in Postgres and the one in memory both are this."""

    def post(self, transactions: Sequence[Transaction]) -> Booked:
        """Post a batch; equal to posting its transactions one by one. Durable when it returns."""
        ...

    def balances(self, keys: Collection[tuple[str, str]]) -> Sequence[Balance]:
        """The balances of these accounts and currencies, in order, leaving out those that have no entries."""
        ...

    def open_holds(self) -> Sequence[Transaction]:
        """The holds of this shard that will expire if nothing ends them before, without their entries."""
        ...

    def heard(self, after_batch_id: int) -> Heard:
        """Read what others have posted: the balances that this writer did not know, what was taken back after a batch."""
        ...

    def newest_batch(self) -> int:
        """Return the id of the newest batch, by whomever it was posted; 0 when there is none."""
        ...

    def close(self) -> None:
        """Give the ledger back; the next writer may take it."""
        ...


class NamedLeg(Struct, gc=False):
    """What the ledger knows of a leg: its id, and how much of its currency it moved."""

    id: str
    amount: int


class NamedLegs(Struct, gc=False):
    """The legs that the metadata of a user trade names; of anything else there are none."""

    btc_leg: NamedLeg | None = None
    usd_leg: NamedLeg | None = None


named_legs = Decoder(NamedLegs).decode
"""Read them from the metadata of a transaction."""


class History(NamedTuple):
    """Two questions to the posted transactions, answered without their entries, oldest first: those of some matters, and those
    whose metadata names one of some legs."""

    of_matters: Callable[[Sequence[Matter]], Sequence[Transaction]]
    of_legs: Callable[[Sequence[str]], Sequence[Transaction]]
