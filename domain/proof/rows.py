"""The ledger as rows of text: what is exported, and what the hash chain is computed from again.

Batches, transactions, entries, rejections and conflicts stand in the order in which they were written, each row after the
number of its batch, and with them what follows from them: sums by date, and what became of causes. Beside them are the
accounts, whose codes stand in the bodies of transactions, with every change of one; the balances, which are what the entries
come to; and the closed periods, which say what they came to when they were sealed.

Here a row of text becomes a row of values, beside the line of it that is hashed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from domain.ledger.body import cause_text
from domain.ledger.journal import CREDIT, DEBIT, Cause, Entry, Group, Layer, Relation, Transaction

NULL = r"\N"
"""How a missing value is written, so that it is not an empty text."""

NO_HASH = bytes(32).hex()
"""What the first of a chain follows."""

Cells = Sequence[str]

_LAYERS, _SIDES = frozenset(str(int(layer)) for layer in Layer), frozenset((str(DEBIT), str(CREDIT)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


BATCH_COLUMNS = _names(
    "batch_id shard fence n_tx n_entries n_duplicates n_conflicts n_rejected source recorded_at_us "
    "accounts_hash prev_hash content_hash hash"
)
HEADER_COLUMNS = _names(
    "batch_id position tx_id template effective_at_ms n_entries n_added correlation_id relation cause_tx_id is_final "
    "expires_at_ms group_id group_size source source_offset body_hash meta"
)
ENTRY_COLUMNS = _names("batch_id tx_id version account_id leg layer side currency amount balance_after")
REJECT_COLUMNS = _names(
    "batch_id position tx_id reason account currency shortfall template source source_offset body_hash payload"
)
CONFLICT_COLUMNS = _names("batch_id tx_id body_hash template source source_offset payload")
SUM_COLUMNS = _names("batch_id account_id currency layer effective_date delta")
RESOLUTION_COLUMNS = _names("batch_id tx_id cause_tx_id relation is_final")
ACCOUNT_COLUMNS = _names(
    "account_id code journal normal_side currency status min_available max_balance shard parent_id is_summary "
    "meaning opened_at_us"
)
CHANGE_COLUMNS = _names("revision facts changed_at_us changed_by hash")
BALANCE_COLUMNS = _names(
    "account_id currency version settled_debit settled_credit pending_debit pending_credit encumbered_debit encumbered_credit"
)
PERIOD_COLUMNS = _names("closed_until_us closed_at_us closed_by manifest")


class AccountRow(NamedTuple):
    """What of an account stands in what is proved: its code in bodies, its shard in the order of batches."""

    code: str
    shard: int


class BatchRow(NamedTuple):
    """One link of a shard's chain; the hashes are hex digits. `source` has the first and last offset of each source.

    `accounts_hash` is that of the newest change of an account there was. `n_duplicates` counts what was posted again, of which
    nothing else is kept. `facts` is what is hashed of the row itself.
    """

    batch_id: int
    shard: int
    n_tx: int
    n_entries: int
    n_rejected: int
    n_conflicts: int
    n_duplicates: int
    source: dict[str, Any]
    accounts_hash: str
    prev_hash: str
    content_hash: str
    hash: str
    facts: str


class HeaderRow(NamedTuple):
    """A posted transaction without its entries; of those, the last `n_added` are the ledger's own. `line` is hashed."""

    batch_id: int
    position: int
    n_entries: int
    n_added: int
    transaction: Transaction
    body_hash: str
    line: str


class EntryRow(NamedTuple):
    """One entry, with the account by number as in the tables; `line` is hashed."""

    batch_id: int
    tx_id: str
    version: int
    account_id: int
    leg: int
    layer: int
    side: int
    currency: str
    amount: int
    balance_after: int
    line: str


class KeptRow(NamedTuple):
    """A transaction that was rejected, or is in conflict with another; `payload` is all of it, as JSON.

    `line` is hashed. A conflict has no position and no reason.
    """

    batch_id: int
    tx_id: str
    template: str
    source: str
    source_offset: int
    body_hash: str
    payload: str
    line: str
    position: int = 0
    reason: str | None = None


class DerivedRow(NamedTuple):
    """A row that follows from others of its batch; `text` is all else that it says."""

    batch_id: int
    text: str


class Unreadable(NamedTuple):
    """Text that is no row of its table."""

    batch_id: int
    text: str


def batch_row(cells: Cells) -> BatchRow:
    """ValueError if it is not one, as with the other readers of rows."""
    accounts_hash, prev_hash, content_hash, digest = cells[10:]
    batch_id, shard, _, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected = map(int, cells[:8])
    source = json.loads(cells[8])
    if not isinstance(source, dict):
        msg = "the sources of a batch have names"
        raise ValueError(msg)
    counts = (n_tx, n_entries, n_rejected, n_conflicts, n_duplicates)
    return BatchRow(batch_id, shard, *counts, source, accounts_hash, prev_hash, content_hash, digest, "\t".join(cells[:11]))


def header_row(cells: Cells) -> HeaderRow:
    batch_id, position, id_, template, at_ms, n_entries, n_added, correlation_id = cells[:8]
    relation, cause_id, is_final, expires_at_ms, group_id, group_size, source, offset, body, meta = cells[8:]
    if not 0 <= int(n_added) <= int(n_entries):
        msg = "a transaction has fewer entries than the ledger added"
        raise ValueError(msg)
    cause = _cause(relation, cause_id, is_final)
    expires = None if expires_at_ms == NULL else int(expires_at_ms)
    group = _group(group_id, group_size)
    transaction = Transaction(
        id_, template, int(at_ms), (), correlation_id, source, int(offset), meta, cause, expires, group
    )
    named = "-" if cause is None else cause_text(cause)
    line = f"{id_}\t{template}\t{at_ms}\t{correlation_id}\t{named}\t{source}\t{offset}\t{body}\n"
    return HeaderRow(int(batch_id), int(position), int(n_entries), int(n_added), transaction, body, line)


def _cause(relation: str, cause_id: str, is_final: str) -> Cause | None:
    if relation == cause_id == is_final == NULL:
        return None
    if NULL in (relation, cause_id) or is_final not in ("t", "f"):
        msg = "a cause has a relation, an id, and is final or not"
        raise ValueError(msg)
    if is_final == "f" and relation != Relation.CAPTURES:
        msg = "only a capture may leave something for others"
        raise ValueError(msg)
    return Cause(Relation(relation), cause_id, is_final == "t")


def _group(group_id: str, group_size: str) -> Group | None:
    if group_id == group_size == NULL:
        return None
    if group_id == NULL:
        msg = "a group has an id"
        raise ValueError(msg)
    return Group(group_id, int(group_size))


def entry_row(cells: Cells) -> EntryRow:
    batch_id, id_, version, account_id, leg, layer, side, currency, amount, after = cells
    if layer not in _LAYERS or side not in _SIDES:
        msg = "an entry is of a layer, and a debit or a credit"
        raise ValueError(msg)
    numbers = (int(version), int(account_id), int(leg), int(layer), int(side))
    return EntryRow(int(batch_id), id_, *numbers, currency, int(amount), int(after), "\t".join(cells[1:]) + "\n")


def reject_row(cells: Cells) -> KeptRow:
    batch_id, position, id_, reason, account, currency, shortfall, template, source, offset, body, payload = cells
    said = (reason, account, currency, shortfall, template, source, offset, body)
    line = "\t".join([id_, *said, _payload_hash(payload)]) + "\n"
    kept = (int(batch_id), id_, template, source, int(offset), body, payload)
    return KeptRow(*kept, line, int(position), reason)


def conflict_row(cells: Cells) -> KeptRow:
    batch_id, id_, body, template, source, offset, payload = cells
    line = f"{id_}\t{body}\t{template}\t{source}\t{offset}\t{_payload_hash(payload)}\n"
    return KeptRow(int(batch_id), id_, template, source, int(offset), body, payload, line)


def derived_row(cells: Cells) -> DerivedRow:
    return DerivedRow(int(cells[0]), "\t".join(cells[1:]))


def _payload_hash(payload: str) -> str:
    return sha256(payload.encode(errors="surrogateescape")).hexdigest()


def booked(header: HeaderRow, entries: Iterable[EntryRow], accounts: Mapping[int, AccountRow]) -> Transaction:
    """The transaction as it was posted, without the entries that the ledger added. KeyError for an unknown account."""
    own = list(entries)
    own = own[: len(own) - header.n_added]
    legs = [Entry(accounts[one.account_id].code, one.currency, Layer(one.layer), one.side, one.amount) for one in own]
    return header.transaction._replace(entries=tuple(legs))
