"""The hash chain, verified again from rows alone: no database, no trust in whoever wrote them.

A batch has the SHA-256 of its lines, which are its headers, entries, rejections and conflicts: its content hash. Its hash is
the SHA-256 of the hash before it, in bytes, its content hash, and all that is said of the batch itself. So a content hash
that is right clears the rows, and a hash that is right for the content hash clears the batch and leaves the rows.

Every batch is judged by itself: if what it says the hash before it is differs from what that is, the rows say which of the
two was changed. So one flipped byte breaks one batch, and that one is named, with the part that it is in.

Whoever cuts the last batches off, and sets the balances back, leaves a whole chain that is too short. Only somebody who has
written a head of the chain down elsewhere can tell: a `Head` that was there once is there for ever.

What is not in a line is in the body of a transaction, whose hash is: metadata, expiry and group. Of a refused transaction the
line has a hash of the text that is kept of it. Not proved is whether a rejection names no account (or currency) or one that is
called `\\N`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from domain.proof.balances import Followed, follow
from domain.proof.batches import BatchRows
from domain.proof.derived import other_resolutions, other_sums
from domain.proof.evidence import Fault, Part, Sound, evidence, other_sources, sound
from domain.proof.rows import NO_HASH, BatchRow


class Counts(NamedTuple):
    """How many rows of each kind there are in a batch."""

    transactions: int
    entries: int
    rejects: int
    conflicts: int


class Verified(NamedTuple):
    """One batch, and what is wrong in it; nothing, if it is as it was written. `shard` is None if there is no batch, and
    `hash` is what it says of itself."""

    batch_id: int
    shard: int | None
    counts: Counts
    faults: tuple[Fault, ...]
    hash: str = ""

    @property
    def parts(self) -> tuple[Part, ...]:
        """The parts that are not as they were written."""
        return tuple(part for part in Part if any(fault.part is part for fault in self.faults))


class Head(NamedTuple):
    """The last batch of a shard's chain at some time, as a person writes it down: `SHARD:BATCH:HASH`."""

    shard: int
    batch_id: int
    hash: str

    def __str__(self) -> str:
        return ":".join(map(str, self))

    @classmethod
    def read(cls, text: str) -> "Head":
        """The head that was written down; ValueError if it is none."""
        shard, batch_id, digits = text.strip().split(":")
        if len(bytes.fromhex(digits)) != len(NO_HASH) // 2:
            msg = f"{digits} is no hash"
            raise ValueError(msg)
        return cls(int(shard), int(batch_id), digits.lower())


class _Batch(NamedTuple):
    """A batch that is judged once the next one of its shard says which hash it follows.

    `computed` is what its hash should be, `from_previous` what it should be if it had named the hash of the batch before.
    `is_right` says that what is hashed of its rows is right, `follows` that it names what the hash before it is or should be.
    """

    row: BatchRow
    counts: Counts
    faults: tuple[Fault, ...]
    computed: str
    from_previous: str
    is_right: bool
    follows: bool


@dataclass(slots=True)
class _Walk:
    """How far the chains have been followed, and where something was wrong: `lost` batches are of nobody knows which shard."""

    followed: Followed
    last: dict[int, _Batch] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    lost: int = 0
    lost_before: dict[int, int] = field(default_factory=dict)


def verify(followed: Followed, batches: Iterable[BatchRows]) -> Iterator[Verified]:
    """Judge every batch, each once its successor is known; `followed` then has what all entries come to.

    The batches are all there are from the first on, in order. A shard's batches come out in their order, one later.
    """
    walk = _Walk(followed)
    for rows in batches:
        found = sound(rows)
        if rows.batch is None:
            yield _without_batch(walk, rows, found)
            continue
        shard = _shard(walk, rows.batch, found)
        before = walk.last.get(shard)
        if before is not None:
            yield _judged(walk, before, rows.batch)
        walk.last[shard] = _examined(walk, rows, rows.batch._replace(shard=shard), found, before)
    for shard in sorted(walk.last):
        yield _judged(walk, walk.last[shard], None)


def _shard(walk: _Walk, batch: BatchRow, found: Sound) -> int:
    """The shard whose accounts it books on or whose chain it goes on with, whatever it says itself."""
    accounts = walk.followed.accounts
    homes = (accounts[entry.account_id].shard for entry in found.entries if entry.account_id in accounts)
    chains = (shard for shard, last in walk.last.items() if batch.prev_hash in (last.row.hash, last.computed))
    return next(homes, next(chains, batch.shard))


def _without_batch(walk: _Walk, rows: BatchRows, found: Sound) -> Verified:
    for _ in follow(walk.followed, found.entries, frozenset()):
        pass
    counts = Counts(len(rows.headers), len(rows.entries), len(rows.rejects), len(rows.conflicts))
    walk.lost += any(counts)
    derived = (*other_sums((), (), rows.sums), *other_resolutions((), rows.resolutions))
    gone = f"there are {sum(counts)} rows of this batch, and it is not there or cannot be read"
    faults = [gone, *derived] if any(counts) else derived
    return Verified(rows.batch_id, None, counts, tuple(Fault(Part.BATCH, fault) for fault in faults))


def _examined(walk: _Walk, rows: BatchRows, batch: BatchRow, found: Sound, before: _Batch | None) -> _Batch:
    previous = before.row.hash if before else NO_HASH
    content = sha256(_lines(found)).digest()
    says_so = batch.content_hash == content.hex()
    hashes = _links(batch, previous, content)
    is_right = says_so or batch.hash in hashes
    if not is_right:
        hashes = _links(batch, previous, _bytes(batch.content_hash))
    is_first = batch.shard not in walk.broken and not walk.lost
    faults = [*evidence(walk.followed, batch, rows, found, is_right=is_right, is_first=is_first)]
    faults += _misstated(batch, rows, found, is_right=is_right, is_known=bool(faults))
    if is_right and not faults:
        faults += _derived(rows, found)
    if is_right and not says_so:
        faults.append(Fault(Part.BATCH, "its content hash is not that of its rows, and its hash is"))
    counts = Counts(len(found.headers), len(found.entries), len(found.rejects), len(found.conflicts))
    return _Batch(batch, counts, tuple(faults), *hashes, is_right, _follows(walk, batch, before))


def _lines(found: Sound) -> bytes:
    """What is hashed of the rows of a batch."""
    lines = [row.line for rows in (found.headers, found.entries, found.rejects) for row in rows]
    lines += sorted(row.line for row in found.conflicts)
    return "".join(lines).encode(errors="surrogateescape")


def _links(batch: BatchRow, previous: str, content: bytes) -> tuple[str, str]:
    """What the hash should be after the hash that the batch names, and after that of the batch before."""
    hashed = content + batch.facts.encode(errors="surrogateescape")
    named = sha256(_bytes(batch.prev_hash) + hashed).hexdigest()
    return named, named if batch.prev_hash == previous else sha256(_bytes(previous) + hashed).hexdigest()


def _bytes(digits: str) -> bytes:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return b"no hash"


def _misstated(batch: BatchRow, rows: BatchRows, found: Sound, *, is_right: bool, is_known: bool) -> Iterator[Fault]:
    """A shard or sources that are not those of the rows. `is_known` says that rows are wrong, which says nothing of it."""
    if rows.batch is not None and rows.batch.shard != batch.shard:
        yield Fault(Part.BATCH, f"it says shard {rows.batch.shard}, and goes on with shard {batch.shard}")
    if not is_known and other_sources(batch, found):
        part = Part.BATCH if is_right else Part.HEADER
        yield Fault(part, "the offsets of the batch are not those of its transactions")


def _derived(rows: BatchRows, found: Sound) -> Iterator[Fault]:
    """What is said to follow from the rows, which are right, and does not."""
    yield from (Fault(Part.SUM, wrong) for wrong in other_sums(found.headers, found.entries, rows.sums))
    yield from (Fault(Part.RESOLUTION, wrong) for wrong in other_resolutions(found.headers, rows.resolutions))


def _follows(walk: _Walk, batch: BatchRow, before: _Batch | None) -> bool:
    """Whether it names the hash that the batch before it has or should have; one that is lost was named as such."""
    is_excused = walk.lost > walk.lost_before.get(batch.shard, 0)
    walk.lost_before[batch.shard] = walk.lost
    return is_excused or batch.prev_hash in ((before.row.hash, before.computed) if before else (NO_HASH,))


def _judged(walk: _Walk, batch: _Batch, following: BatchRow | None) -> Verified:
    """The last word on a batch; `following` is the next one of its shard."""
    is_followed = following is not None and following.prev_hash == batch.computed
    faults = (*batch.faults, *_unlinked(batch, following, is_followed=is_followed))
    if batch.row.hash == batch.computed and batch.row.accounts_hash not in walk.followed.accounts_hashes:
        faults += (Fault(Part.LINK, "the accounts that it was booked on have another history than it knew"),)
    if not batch.is_right and not batch.faults:
        faults += tuple(_unlocated(batch))
    if faults:
        walk.broken.add(batch.row.shard)
    return Verified(batch.row.batch_id, batch.row.shard, batch.counts, faults, batch.row.hash)


def _unlinked(batch: _Batch, following: BatchRow | None, *, is_followed: bool) -> Iterator[Fault]:
    """What is wrong with the hashes of a batch, or what they show of the batch itself."""
    row = batch.row
    if row.hash == batch.computed:
        if not batch.follows:
            yield Fault(Part.LINK, "it does not follow the batch before it: one is missing between them, or came in")
    elif row.hash == batch.from_previous:
        yield Fault(Part.LINK, "the hash that it says it follows is not that of the batch before it")
    elif is_followed:
        yield Fault(Part.LINK, "its hash is not the one that the next batch follows, and that one is right")
    elif not batch.faults:
        if following is None:
            yield Fault(Part.LINK, "its hash is not what it should be, and no batch after it tells what was changed")
        yield Fault(Part.BATCH, "something that is said of the batch itself was changed")


def _unlocated(batch: _Batch) -> Iterator[Fault]:
    """The rows are wrong and nothing else shows it: all that it can be is what is written down only once."""
    transactions, _, rejects, conflicts = batch.counts
    if transactions:
        yield Fault(Part.HEADER, "the order or an offset of its transactions was changed")
    if rejects:
        yield Fault(Part.REJECT, "the order of its rejections or what one of them says was changed")
    if conflicts and not rejects:
        yield Fault(Part.CONFLICT, "what is said of a transaction in conflict was changed")
