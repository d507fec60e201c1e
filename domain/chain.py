"""The hash chain, verified again from rows alone: no database, no trust in whoever wrote them.

The hash of a batch is the SHA-256 of the hash before it, in bytes, and then of the lines of its headers, its entries and
its rejections, so a change shows in its own batch whatever comes after it. Metadata, expiry and groups are not in these
lines; they are in the body of a transaction, whose hash is.

Every batch is judged by itself: if what it says the hash before it is differs from what that is, the rows say which of the
two was changed. So one flipped byte breaks one batch, and that one is named, with the part that it is in.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from domain.chain_batches import BatchRows
from domain.chain_evidence import (
    Fault,
    Followed,
    Part,
    counts_differ,
    follow,
    other_bodies,
    places_differ,
    rejects_differ,
    sources_differ,
)
from domain.chain_rows import AccountRow, BatchRow, EntryRow, HeaderRow, RejectRow

NO_HASH = bytes(32).hex()
"""What the first batch of a shard follows."""


class Verified(NamedTuple):
    """One batch, and what is wrong in it; nothing, if it is as it was written. `shard` is None if there is no batch."""

    batch_id: int
    shard: int | None
    transactions: int
    entries: int
    rejects: int
    faults: tuple[Fault, ...]

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are not as they were written."""
        return tuple(part for part in Part if any(fault.part is part for fault in self.faults))


class _Batch(NamedTuple):
    """A batch that is judged once the next one of its shard says which hash it follows.

    `computed` is what its hash should be, `from_previous` what it should be if it had named the hash of the batch before.
    `follows` says that it names what that hash is, or should be.
    """

    row: BatchRow
    counts: tuple[int, int, int]
    faults: tuple[Fault, ...]
    computed: str
    from_previous: str
    follows: bool


class _Sound(NamedTuple):
    """The readable rows of a batch."""

    headers: list[HeaderRow]
    entries: list[EntryRow]
    rejects: list[RejectRow]


@dataclass(slots=True)
class _Walk:
    """How far the chains have been followed, and where something was wrong: `lost` batches are of nobody knows which shard."""

    followed: Followed
    last: dict[int, _Batch] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    lost: int = 0
    lost_before: dict[int, int] = field(default_factory=dict)


def verify(accounts: Mapping[int, AccountRow], batches: Iterable[BatchRows]) -> Iterator[Verified]:
    """Judge every batch, each once its successor is known; `accounts` are by number.

    The batches are all there are from the first on, in order. A shard's batches come out in their order, one later.
    """
    walk = _Walk(Followed(accounts))
    for rows in batches:
        if rows.batch is None:
            yield _without_batch(walk, rows)
            continue
        shard = _shard(walk.followed, rows.batch, rows)
        before = walk.last.get(shard)
        if before is not None:
            yield _told(walk, _judged(before, rows.batch))
        walk.last[shard] = _examined(walk, rows, rows.batch._replace(shard=shard), before)
    for shard in sorted(walk.last):
        yield _told(walk, _judged(walk.last[shard], None))


def _shard(followed: Followed, batch: BatchRow, rows: BatchRows) -> int:
    """The shard whose accounts it books on, whatever it says itself."""
    entries = (row for row in rows.entries if isinstance(row, EntryRow))
    homes = (followed.accounts[entry.account_id].shard for entry in entries if entry.account_id in followed.accounts)
    return next(homes, batch.shard)


def _told(walk: _Walk, verified: Verified) -> Verified:
    if verified.faults and verified.shard is not None:
        walk.broken.add(verified.shard)
    return verified


def _without_batch(walk: _Walk, rows: BatchRows) -> Verified:
    sound = _sound(rows)
    walk.lost += 1
    for _ in follow(walk.followed, sound.entries, frozenset()):
        pass
    counts = (len(rows.headers), len(rows.entries), len(rows.rejects))
    fault = Fault(Part.BATCH, f"there are {sum(counts)} rows of this batch, and it is not there or cannot be read")
    return Verified(rows.batch_id, None, *counts, (fault,))


def _sound(rows: BatchRows) -> _Sound:
    return _Sound(
        [row for row in rows.headers if isinstance(row, HeaderRow)],
        [row for row in rows.entries if isinstance(row, EntryRow)],
        [row for row in rows.rejects if isinstance(row, RejectRow)],
    )


def _examined(walk: _Walk, rows: BatchRows, batch: BatchRow, before: _Batch | None) -> _Batch:
    sound = _sound(rows)
    previous = before.row.hash if before else NO_HASH
    content = _content(sound)
    computed = _hash(batch.prev_hash, content)
    from_previous = computed if batch.prev_hash == previous else _hash(previous, content)
    is_whole = batch.hash in (computed, from_previous)
    is_first = batch.shard not in walk.broken and not walk.lost
    faults = _faults(walk.followed, rows, batch, sound, is_whole, is_first)
    counts = (len(sound.headers), len(sound.entries), len(sound.rejects))
    return _Batch(batch, counts, tuple(faults), computed, from_previous, _follows(walk, batch, before))


def _follows(walk: _Walk, batch: BatchRow, before: _Batch | None) -> bool:
    """Whether it names the hash that the batch before it has or should have; one that is lost was named as such."""
    is_excused = walk.lost > walk.lost_before.get(batch.shard, 0)
    walk.lost_before[batch.shard] = walk.lost
    return is_excused or batch.prev_hash in ((before.row.hash, before.computed) if before else (NO_HASH,))


def _content(sound: _Sound) -> bytes:
    """What is hashed of a batch after the hash before it."""
    lines = [row.line for row in sound.headers]
    lines += [row.line for row in sound.entries]
    lines += [row.line for row in sound.rejects]
    return "".join(lines).encode(errors="surrogateescape")


def _hash(previous: str, content: bytes) -> str:
    try:
        return sha256(bytes.fromhex(previous) + content).hexdigest()
    except ValueError:
        return ""


def _faults(
    followed: Followed, rows: BatchRows, batch: BatchRow, sound: _Sound, is_whole: bool, is_first: bool
) -> list[Fault]:
    """All evidence within a batch. `is_whole` says that its hash is right, `is_first` that nothing before it was wrong."""
    by_transaction: defaultdict[str, list[EntryRow]] = defaultdict(list)
    for entry in sound.entries:
        by_transaction[entry.tx_id].append(entry)
    bodies = other_bodies(sound.headers, by_transaction, followed.accounts)
    strayed = list(follow(followed, sound.entries, bodies))
    faults = [*counts_differ(batch, rows, is_whole), *rejects_differ(batch, sound.rejects)]
    reliable = None if any(fault.part is Part.REJECT for fault in faults) else sound.rejects
    faults += sources_differ(batch, sound.headers, reliable, is_whole)
    if rows.batch is not None and rows.batch.shard != batch.shard:
        faults.append(Fault(Part.BATCH, f"it says shard {rows.batch.shard} and books on accounts of shard {batch.shard}"))
    faults += places_differ(sound.headers, by_transaction, len(sound.entries) == batch.n_entries)
    # After something is missing, what comes next does not follow it, and is as it was written.
    if not is_whole or is_first:
        faults += [_strayed(entry) for entry in strayed]
    return faults + _bodies(sound, bodies, {entry.tx_id for entry in strayed}, is_whole)


def _strayed(entry: EntryRow) -> Fault:
    detail = f"entry {entry.leg} of transaction {entry.tx_id} does not follow the one before it on its account"
    return Fault(Part.ENTRY, detail)


def _bodies(sound: _Sound, bodies: frozenset[str], strayed: set[str], is_whole: bool) -> list[Fault]:
    """What the wrong bodies show: what the chain proves is right, so then it is what only the body has."""
    faults = []
    for header in sound.headers:
        id_ = header.transaction.id
        if id_ not in bodies or (id_ in strayed and not is_whole):
            continue
        part = Part.METADATA if is_whole else Part.HEADER
        faults.append(Fault(part, f"transaction {id_} does not have the body that its hash names"))
    return faults


def _judged(batch: _Batch, following: BatchRow | None) -> Verified:
    """The last word on a batch; `following` is the next one of its shard."""
    faults = batch.faults + tuple(_links(batch, following))
    return Verified(batch.row.batch_id, batch.row.shard, *batch.counts, faults)


def _links(batch: _Batch, following: BatchRow | None) -> Iterator[Fault]:
    row = batch.row
    if row.hash == batch.computed:
        if not batch.follows:
            yield Fault(Part.LINK, "it does not follow the batch before it: one is missing between them, or came in")
    elif row.hash == batch.from_previous:
        yield Fault(Part.LINK, "the hash that it says it follows is not that of the batch before it")
    elif following is not None and following.prev_hash == batch.computed:
        yield Fault(Part.LINK, "its hash is not the one that the next batch follows, and that one is right")
    elif not batch.faults:
        yield from _unlocated(batch, following)


def _unlocated(batch: _Batch, following: BatchRow | None) -> Iterator[Fault]:
    """The hash is wrong and nothing else shows it: all that it can be is what is written down only once."""
    detail = "its hash is not that of its rows"
    if following is None:
        yield Fault(Part.LINK, f"{detail}, and no batch after it tells which of them was changed")
    if batch.counts[0]:
        yield Fault(Part.HEADER, f"{detail}: the order or an offset of its transactions was changed")
    if batch.counts[2]:
        yield Fault(Part.REJECT, f"{detail}: the reason or the order of its rejections was changed")
