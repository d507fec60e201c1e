"""What in a batch is not as it was written, shown by what the rows of the batch say about each other.

The hash of a batch proves that something was changed, and not what. That is found out by everything that is written down
twice: the body of a transaction has a hash of its own, the amount of an entry shows again in the balance after it, a batch
counts its rows and names the offsets of its sources, and a rejection keeps the whole transaction beside what it says of it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from domain.body import body_hash, meta_text
from domain.chain_batches import BatchRows
from domain.chain_rows import AccountRow, BatchRow, EntryRow, HeaderRow, RejectRow, Unreadable, booked
from domain.journal import Cause, Entry, Group, Relation, Transaction

REASONS = frozenset(
    """
    one_legged too_many_entries bad_time bad_meta closed_period unknown_cause unknown_reversal before_cause
    already_reversed not_a_mirror not_a_hold already_captured already_voided already_expired hold_expired not_expired
    over_capture nothing_captured unexpected_hold unexpected_entries unnamed_release over_release group_refused
    group_incomplete bad_group zero_amount not_whole bad_side bad_layer unknown_account account_frozen account_closed
    not_a_leaf bad_currency wrong_currency unbalanced too_large over_limit over_velocity
    """.split()  # noqa: SIM905 - a list of names, not forty lines
)
"""Every reason for which a ledger has ever refused: another one was not written by it."""


class Part(StrEnum):
    """What of a batch was changed: the batch's own row, the hashes that link it, or one of the rows in it."""

    BATCH = "batch"
    LINK = "link"
    HEADER = "header"
    METADATA = "metadata"
    ENTRY = "entry"
    REJECT = "reject"


class Fault(NamedTuple):
    """One thing that is wrong, in a sentence for a person."""

    part: Part
    detail: str


@dataclass(slots=True)
class Followed:
    """How far the entries of every account have been followed, by amounts alone."""

    accounts: Mapping[int, AccountRow]
    versions: dict[tuple[int, str], int] = field(default_factory=dict)
    nets: dict[tuple[int, str, int], int] = field(default_factory=dict)


def counts_differ(batch: BatchRow, rows: BatchRows, is_whole: bool) -> Iterator[Fault]:
    """Rows that came or went; if the hash says that all rows are right, it is the count that was changed."""
    counted = (
        (Part.HEADER, "transactions", batch.n_tx, rows.headers),
        (Part.ENTRY, "entries", batch.n_entries, rows.entries),
        (Part.REJECT, "rejections", batch.n_rejected, rows.rejects),
    )
    for part, name, expected, found in counted:
        if expected != len(found):
            yield Fault(Part.BATCH if is_whole else part, f"there are {len(found)} {name}, and the batch says {expected}")
        for row in found:
            if isinstance(row, Unreadable):
                yield Fault(part, f"a row cannot be read: {row.text[:120]}")


def sources_differ(
    batch: BatchRow, headers: Sequence[HeaderRow], rejects: Sequence[RejectRow] | None, is_whole: bool
) -> Iterator[Fault]:
    """Transactions from where their batch has read nothing, or a batch that has read further; one of the two was changed.

    What the rejections say is None if it is not to be relied on.
    """
    part = Part.BATCH if is_whole else Part.HEADER
    for header in headers:
        one = header.transaction
        if not _within(batch.source, one.source, one.source_offset):
            yield Fault(part, f"transaction {one.id} is from {one.source} {one.source_offset}, and its batch is not")
            return
    # Of a repeat nothing is kept but that there was one.
    if rejects is not None and not batch.n_repeats and batch.source != _spans(headers, rejects):
        yield Fault(part, "the offsets of the batch are not those of its transactions")


def _spans(headers: Sequence[HeaderRow], rejects: Sequence[RejectRow]) -> dict[str, list[int]]:
    read: defaultdict[str, list[int]] = defaultdict(list)
    for header in headers:
        read[header.transaction.source].append(header.transaction.source_offset)
    for reject in rejects:
        read[reject.source].append(reject.source_offset)
    return {source: [min(offsets), max(offsets)] for source, offsets in read.items()}


def _within(spans: Mapping[str, Any], source: str, offset: int) -> bool:
    match spans.get(source) if isinstance(spans, Mapping) else None:
        case [int(first), int(last)]:
            return first <= offset <= last
        case _:
            return False


def places_differ(
    headers: Sequence[HeaderRow], entries: Mapping[str, list[EntryRow]], has_all_entries: bool
) -> Iterator[Fault]:
    """Headers that are not numbered through, or whose entries are not; `has_all_entries` says that none came or went."""
    of_counts = Part.HEADER if has_all_entries else Part.ENTRY
    if [header.position for header in headers] != list(range(1, len(headers) + 1)):
        yield Fault(Part.HEADER, "the positions of the transactions are not 1, 2, 3 and so on")
    for header in headers:
        legs = [entry.leg for entry in entries.get(header.transaction.id, ())]
        if len(legs) != header.n_entries:
            yield Fault(of_counts, f"transaction {header.transaction.id} has {len(legs)} entries, not {header.n_entries}")
        elif legs != list(range(1, len(legs) + 1)):
            yield Fault(Part.ENTRY, f"the entries of transaction {header.transaction.id} are not numbered 1, 2, 3 and so on")


def other_bodies(
    headers: Iterable[HeaderRow], entries: Mapping[str, list[EntryRow]], accounts: Mapping[int, AccountRow]
) -> frozenset[str]:
    """The transactions that have their entries, and whose header, metadata and entries do not give their body hash."""
    found = ((header, entries.get(header.transaction.id, [])) for header in headers)
    return frozenset(
        header.transaction.id
        for header, legs in found
        if len(legs) == header.n_entries and not _has_body(header, legs, accounts)
    )


def _has_body(header: HeaderRow, entries: list[EntryRow], accounts: Mapping[int, AccountRow]) -> bool:
    try:
        transaction = booked(header, entries, accounts)
    except (KeyError, ValueError):
        return False
    if body_hash(transaction, header.meta) == header.body_hash:
        return True
    # Rows from before metadata was kept as text have it as the database wrote it.
    again = _canonical(header.meta)
    return again is not None and body_hash(transaction, again) == header.body_hash


def _canonical(meta: str) -> str | None:
    try:
        read = json.loads(meta)
    except (ValueError, RecursionError):
        return None
    return meta_text(read) if isinstance(read, dict) else None


def follow(followed: Followed, entries: Iterable[EntryRow], bad_bodies: frozenset[str]) -> Iterator[EntryRow]:
    """Go on from entry to entry, and give those that do not follow the one before them.

    What is gone on from then is what is most likely true: the balance as written if the amount was changed, the sum of the
    amounts if the balance was, and the entry as it stands if some before it are missing.
    """
    for entry in entries:
        key, layer = (entry.account_id, entry.currency), (entry.account_id, entry.currency, entry.layer)
        version = followed.versions.get(key, 0) + 1
        after = followed.nets.get(layer, 0) + entry.side * entry.amount
        has_version, has_after = entry.version == version, entry.balance_after == after
        is_gap = not has_version and not has_after
        followed.versions[key] = entry.version if is_gap else version
        followed.nets[layer] = entry.balance_after if is_gap or entry.tx_id in bad_bodies else after
        if not (has_version and has_after):
            yield entry


def rejects_differ(batch: BatchRow, rejects: Sequence[RejectRow]) -> Iterator[Fault]:
    """Rejections that say something else than the transaction that they keep, or nothing that a ledger says."""
    if [reject.position for reject in rejects] != list(range(1, len(rejects) + 1)):
        yield Fault(Part.REJECT, "the positions of the rejections are not 1, 2, 3 and so on")
    for reject in rejects:
        if reject.reason not in REASONS:
            yield Fault(Part.REJECT, f"transaction {reject.tx_id} was rejected for {reject.reason!r}, which is no reason")
        kept = _kept(reject.payload)
        if kept is None or kept[:4] != (reject.tx_id, reject.template, reject.source, reject.source_offset):
            yield Fault(Part.REJECT, f"the rejection of {reject.tx_id} keeps another transaction")
        elif not _within(batch.source, reject.source, reject.source_offset):
            yield Fault(Part.BATCH, f"rejection {reject.tx_id} is from {reject.source}, and its batch is not")
        elif kept.body_hashes and reject.body_hash not in kept.body_hashes:
            yield Fault(Part.REJECT, f"the transaction that the rejection of {reject.tx_id} keeps has another body")


_FIELDS, _ENTRY_FIELDS = frozenset(Transaction._fields), frozenset(Entry._fields)
# Before there were holds, what a transaction reversed was all that it named.
_KEPT = (_FIELDS, _FIELDS - {"cause", "expires_at_ms", "group"} | {"reverses"})


class _Kept(NamedTuple):
    id: Any
    template: Any
    source: Any
    source_offset: Any
    body_hashes: tuple[str, ...]


def _kept(payload: str) -> _Kept | None:
    """The transaction that a rejection keeps; without hashes if its JSON does not tell all that its body was made of."""
    try:
        kept = json.loads(payload)
        if set(kept) not in _KEPT or any(set(entry) != _ENTRY_FIELDS for entry in kept["entries"]):
            return None
        return _Kept(kept["id"], kept["template"], kept["source"], kept["source_offset"], _body_hashes(kept))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _body_hashes(kept: dict[str, Any]) -> tuple[str, ...]:
    meta = kept["meta"]
    # A value that was no JSON is kept as its name in Python, which does not tell how it was hashed.
    if not isinstance(meta, dict) or any(isinstance(entry["amount"], str) for entry in kept["entries"]):
        return ()
    try:
        transaction = _rebuilt(kept)
        # Metadata that was no plain JSON was hashed as it is kept.
        return (body_hash(transaction, meta_text(meta)), body_hash(transaction, None))
    except (ValueError, TypeError, KeyError):
        return ()


def _rebuilt(kept: dict[str, Any]) -> Transaction:
    cause, group = kept.get("cause"), kept.get("group")
    if kept.get("reverses"):
        cause = [Relation.REVERSES, kept["reverses"]]
    return Transaction(
        kept["id"],
        kept["template"],
        kept["effective_at_ms"],
        tuple(Entry(**entry) for entry in kept["entries"]),
        kept["correlation_id"],
        kept["source"],
        kept["source_offset"],
        kept["meta"],
        Cause(Relation(cause[0]), *cause[1:]) if cause else None,
        kept.get("expires_at_ms"),
        Group(*group) if group else None,
    )
