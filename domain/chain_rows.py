"""The ledger as rows of text: what is exported, and what the hash chain is computed from again.

Five tables are enough to prove the rest: batches, transactions, entries and rejections, each in the order in which they
were written, and the accounts, whose codes stand in the bodies. Every row but an account begins with the number of its
batch.

Here a row of text becomes a row of values, beside the line of it that is hashed.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.journal import Cause, Entry, Group, Layer, Relation, Transaction

NULL = r"\N"
"""How a missing value is written, so that it is not an empty text."""

BATCH_COLUMNS = (
    "batch_id",
    "shard",
    "fence",
    "n_tx",
    "n_entries",
    "n_duplicates",
    "n_conflicts",
    "n_rejected",
    "source",
    "prev_hash",
    "hash",
    "recorded_at",
)
HEADER_COLUMNS = (
    "batch_id",
    "position",
    "tx_id",
    "template",
    "effective_at_ms",
    "n_entries",
    "n_added",
    "correlation_id",
    "relation",
    "cause_tx_id",
    "is_final",
    "expires_at_ms",
    "group_id",
    "group_size",
    "source",
    "source_offset",
    "body_hash",
    "meta",
)
ENTRY_COLUMNS = (
    "batch_id",
    "tx_id",
    "version",
    "account_id",
    "leg",
    "layer",
    "side",
    "currency",
    "amount",
    "balance_after",
)
REJECT_COLUMNS = (
    "batch_id",
    "position",
    "tx_id",
    "reason",
    "account",
    "currency",
    "shortfall",
    "template",
    "source",
    "source_offset",
    "body_hash",
    "payload",
)
ACCOUNT_COLUMNS = ("account_id", "code", "normal_side", "shard", "parent_id")

Cells = Sequence[str]


class AccountRow(NamedTuple):
    """What of an account stands in what is proved: its code in bodies, its shard in the order of batches."""

    code: str
    shard: int


class BatchRow(NamedTuple):
    """One link of a shard's chain; the hashes are 64 hex digits. `source` has the first and last offset of each source;
    `n_repeats` counts what was posted again, of which nothing else is kept."""

    batch_id: int
    shard: int
    n_tx: int
    n_entries: int
    n_repeats: int
    n_rejected: int
    source: dict[str, list[int]]
    prev_hash: str
    hash: str


class HeaderRow(NamedTuple):
    """A posted transaction without its entries; of those, the last `n_added` are the ledger's own. `line` is hashed."""

    batch_id: int
    position: int
    n_entries: int
    n_added: int
    transaction: Transaction
    body_hash: str
    meta: str
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


class RejectRow(NamedTuple):
    """A rejected transaction; `payload` is all of it, as JSON. `line` is hashed."""

    batch_id: int
    position: int
    tx_id: str
    reason: str
    template: str
    source: str
    source_offset: int
    body_hash: str
    payload: str
    line: str


class Unreadable(NamedTuple):
    """Text that is no row of its table."""

    batch_id: int
    text: str


def batch_row(cells: Cells) -> BatchRow:
    """ValueError if it is not one, as with the other readers of rows."""
    batch_id, shard, _, n_tx, n_entries, n_duplicates, n_conflicts, n_rejected, source, prev_hash, digest, _ = cells
    repeats = int(n_duplicates) + int(n_conflicts)
    counts = (int(n_tx), int(n_entries), repeats, int(n_rejected))
    return BatchRow(int(batch_id), int(shard), *counts, json.loads(source), prev_hash, digest)


def header_row(cells: Cells) -> HeaderRow:
    batch_id, position, id_, template, at_ms, n_entries, n_added, correlation_id = cells[:8]
    relation, cause_id, is_final, expires_at_ms, group_id, group_size, source, offset, body, meta = cells[8:]
    if not 0 <= int(n_added) <= int(n_entries):
        msg = "a transaction has fewer entries than the ledger added"
        raise ValueError(msg)
    cause = _cause(relation, cause_id, is_final)
    expires = None if expires_at_ms == NULL else int(expires_at_ms)
    group = _group(group_id, group_size)
    transaction = Transaction(id_, template, int(at_ms), (), correlation_id, source, int(offset), {}, cause, expires, group)
    line = f"{id_}\t{template}\t{at_ms}\t{correlation_id}\t{_named(cause)}\t{source}\t{offset}\t{body}\n"
    return HeaderRow(int(batch_id), int(position), int(n_entries), int(n_added), transaction, body, meta, line)


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


def _named(cause: Cause | None) -> str:
    """How a cause is hashed: of a reversal its id alone, as it was before there were other relations."""
    if cause is None:
        return "-"
    if cause.relation is Relation.REVERSES:
        return cause.transaction_id
    return f"{cause.relation} {cause.transaction_id}"


def entry_row(cells: Cells) -> EntryRow:
    batch_id, id_, version, account_id, leg, layer, side, currency, amount, after = cells
    return EntryRow(
        int(batch_id),
        id_,
        int(version),
        int(account_id),
        int(leg),
        int(layer),
        int(side),
        currency,
        int(amount),
        int(after),
        "\t".join(cells[1:]) + "\n",
    )


def reject_row(cells: Cells) -> RejectRow:
    batch_id, position, id_, reason, _, _, _, template, source, offset, body, payload = cells
    line = f"{id_}\t{reason}\t{body}\n"
    return RejectRow(int(batch_id), int(position), id_, reason, template, source, int(offset), body, payload, line)


def booked(header: HeaderRow, entries: Iterable[EntryRow], accounts: Mapping[int, AccountRow]) -> Transaction:
    """The transaction as it was posted, without the entries that the ledger added. KeyError for an unknown account."""
    own = list(entries)
    own = own[: len(own) - header.n_added]
    legs = [Entry(accounts[one.account_id].code, one.currency, Layer(one.layer), one.side, one.amount) for one in own]
    return header.transaction._replace(entries=tuple(legs))
