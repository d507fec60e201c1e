"""What in a batch is not as it was written, shown by what its rows say about each other.

The hash of a batch proves that its rows were changed, and not which of them. That is found out by what is written down
twice: the body of a transaction has a hash of its own, the amount of an entry shows again in the balance after it, a batch
counts its rows and names the offsets of its sources, and what was refused is kept whole beside what is said of it. Of a row
that the hash of the batch does not cover, it is the only proof.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from domain.ledger.body import body_hash, transaction_from
from domain.ledger.journal import Entry, Transaction
from domain.ledger.refusals import REASONS
from domain.proof.balances import Followed, follow
from domain.proof.batches import BatchRows, Row
from domain.proof.rows import BatchRow, EntryRow, HeaderRow, KeptRow, Unreadable, booked


class Part(StrEnum):
    """What of a batch was changed: the batch's own row, the hashes that link it, one of the rows in it, or what
    follows from them."""

    BATCH = "batch"
    LINK = "link"
    HEADER = "header"
    METADATA = "metadata"
    ENTRY = "entry"
    REJECT = "reject"
    CONFLICT = "conflict"
    SUM = "sum"
    RESOLUTION = "resolution"


class Fault(NamedTuple):
    """One thing that is wrong, in a sentence for a person."""

    part: Part
    detail: str


class Sound(NamedTuple):
    """The rows of a batch that can be read."""

    headers: list[HeaderRow]
    entries: list[EntryRow]
    rejects: list[KeptRow]
    conflicts: list[KeptRow]


def sound(rows: BatchRows) -> Sound:
    """What is left of the rows without those that are none."""
    return Sound(_readable(rows.headers), _readable(rows.entries), _readable(rows.rejects), _readable(rows.conflicts))


def _readable(rows: list[Row | Unreadable]) -> list[Row]:
    return [row for row in rows if not isinstance(row, Unreadable)]


def evidence(
    followed: Followed, batch: BatchRow, rows: BatchRows, found: Sound, *, is_right: bool, is_first: bool
) -> Iterator[Fault]:
    """All that shows within a batch.

    `is_right` says that what is hashed of its rows is right, so that if two of them disagree it is what is not hashed that
    was changed; `is_first` that nothing before it was wrong.
    """
    yield from _counts(batch, rows, is_right=is_right)
    yield from _positions(found)
    legs: defaultdict[str, list[EntryRow]] = defaultdict(list)
    for entry in found.entries:
        legs[entry.tx_id].append(entry)
    bodies = frozenset(one.transaction.id for one in found.headers if _is_other(one, legs[one.transaction.id], followed))
    strayed = list(follow(followed, found.entries, bodies))
    if len(found.entries) == batch.n_entries:
        yield from _legs(found.headers, legs, is_right=is_right)
    # After something is missing, what comes next does not follow it, and is as it was written.
    for entry in strayed if is_first or not is_right else ():
        detail = f"entry {entry.leg} of transaction {entry.tx_id} does not follow the one before it on its account"
        yield Fault(Part.ENTRY, detail)
    for id_ in sorted(bodies if is_right else bodies - {entry.tx_id for entry in strayed}):
        # If what is hashed is right, it is what only the body has.
        part = Part.METADATA if is_right else Part.HEADER
        yield Fault(part, f"transaction {id_} does not have the body that its hash names")
    for part, kept in ((Part.REJECT, found.rejects), (Part.CONFLICT, found.conflicts)):
        yield from (Fault(part, wrong) for row in kept if (wrong := misquoted(row)))


def _counts(batch: BatchRow, rows: BatchRows, *, is_right: bool) -> Iterator[Fault]:
    """Rows that came or went; if the hash says that all rows are right, it is the count that was changed."""
    counted = (
        (Part.HEADER, batch.n_tx, rows.headers),
        (Part.ENTRY, batch.n_entries, rows.entries),
        (Part.REJECT, batch.n_rejected, rows.rejects),
        (Part.CONFLICT, batch.n_conflicts, rows.conflicts),
    )
    for part, expected, found in counted:
        if expected != len(found):
            detail = f"there are {len(found)} rows of kind {part}, and the batch says {expected}"
            yield Fault(Part.BATCH if is_right else part, detail)
        yield from (Fault(part, f"a row cannot be read: {row.text[:120]}") for row in found if isinstance(row, Unreadable))


def _positions(found: Sound) -> Iterator[Fault]:
    numbered: tuple[tuple[Part, Sequence[HeaderRow | KeptRow]], ...]
    numbered = ((Part.HEADER, found.headers), (Part.REJECT, found.rejects))
    for part, rows in numbered:
        if [row.position for row in rows] != list(range(1, len(rows) + 1)):
            yield Fault(part, "the positions are not 1, 2, 3 and so on")


def _is_other(header: HeaderRow, legs: Sequence[EntryRow], followed: Followed) -> bool:
    """Whether header, metadata and entries, all of them there, do not give the body hash."""
    if len(legs) != header.n_entries:
        return False
    try:
        transaction = booked(header, legs, followed.accounts)
    except (KeyError, ValueError):
        return True
    return header.body_hash != body_hash(transaction)


def _legs(headers: Iterable[HeaderRow], legs: Mapping[str, list[EntryRow]], *, is_right: bool) -> Iterator[Fault]:
    """Transactions whose entries are not numbered through up to what they say, while none has come or gone."""
    for header in headers:
        found = [entry.leg for entry in legs.get(header.transaction.id, ())]
        if found != list(range(1, header.n_entries + 1)):
            part = Part.HEADER if is_right or len(found) != header.n_entries else Part.ENTRY
            detail = f"the entries of transaction {header.transaction.id} are not numbered 1 to {header.n_entries}"
            yield Fault(part, detail)


def other_sources(batch: BatchRow, found: Sound) -> bool:
    """Whether the batch does not say it has read what its transactions are from; of repeats nothing else is kept."""
    read: defaultdict[str, list[int]] = defaultdict(list)
    for header in found.headers:
        read[header.transaction.source].append(header.transaction.source_offset)
    for row in (*found.rejects, *found.conflicts):
        read[row.source].append(row.source_offset)
    if not batch.n_duplicates:
        return batch.source != {source: [min(offsets), max(offsets)] for source, offsets in read.items()}
    return not all(_within(batch.source.get(source), min(offsets), max(offsets)) for source, offsets in read.items())


def _within(span: Any, first: int, last: int) -> bool:
    match span:
        case [int(begin), int(end)]:
            return begin <= first and last <= end
        case _:
            return False


_FIELDS, _ENTRY_FIELDS = frozenset(Transaction._fields), frozenset(Entry._fields)
_DECIMAL = re.compile(r"Decimal\('(.*)'\)")


def misquoted(row: KeptRow) -> str | None:
    """Return what is said of a refused transaction and is not what is kept of it, None where both agree."""
    if row.reason is not None and row.reason not in REASONS:
        return f"transaction {row.tx_id} was rejected for {row.reason!r}, which is no reason"
    try:
        kept = json.loads(row.payload)
        if set(kept) != _FIELDS or any(set(entry) != _ENTRY_FIELDS for entry in kept["entries"]):
            return f"what is kept of {row.tx_id} is no transaction"
        named = (kept["id"], kept["template"], kept["source"], kept["source_offset"])
        if named != (row.tx_id, row.template, row.source, row.source_offset):
            return f"what is kept of {row.tx_id} is another transaction"
        has_body = row.body_hash == body_hash(_rebuilt(kept)) or _is_hearsay(kept)
        return None if has_body else f"what is kept of {row.tx_id} has another body"
    except (ValueError, TypeError, KeyError, RecursionError):
        return f"what is kept of {row.tx_id} cannot be read"


def _is_hearsay(kept: Mapping[str, Any]) -> bool:
    """Whether what is kept does not tell all that the body was made of.

    An amount that JSON has no number for is kept as Python shows it, and of a type that is not known here nobody can say
    what it was hashed as.
    """
    return any(isinstance(amount, str) and not _DECIMAL.fullmatch(amount) for amount in _amounts(kept))


def _amounts(kept: Mapping[str, Any]) -> list[Any]:
    return [entry["amount"] for entry in kept["entries"]]


def _rebuilt(kept: Mapping[str, Any]) -> Transaction:
    return transaction_from({**kept, "entries": [_entry(entry) for entry in kept["entries"]]})


def _entry(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an entry with its amount as it was hashed: of a decimal, its digits alone."""
    amount = kept["amount"]
    shown = _DECIMAL.fullmatch(amount) if isinstance(amount, str) else None
    return {**kept, "amount": shown[1]} if shown else kept
