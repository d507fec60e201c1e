"""Sealed periods, counted again: what was effective in them is what it was when they were closed.

A seal keeps, by day in UTC, how many transactions and entries there were, what they came to, and the SHA-256 of their ids
and bodies in order; and the last batch of every shard at that moment. A period begins where the one sealed before it ends.
When it was closed and by whom is not proved, for nothing else says it.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from domain.ledger.journal import Layer
from domain.proof.batches import BatchRows
from domain.proof.rows import Cells, EntryRow, HeaderRow
from domain.times import DAY_MS, EPOCH

_MICROSECOND = timedelta(microseconds=1)


@dataclass(slots=True)
class _Day:
    transactions: int = 0
    entries: int = 0
    lines: bytearray = field(default_factory=bytearray)
    sums: defaultdict[tuple[str, int], list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))


class _Seal(NamedTuple):
    until_us: int
    until: str
    manifest: dict[str, Any]
    days: defaultdict[int, _Day]


class SealCheck(NamedTuple):
    """A sealed period; the days that are not what was sealed, and the shards whose chain has lost the end it had then."""

    since: str | None
    until: str
    is_sound: bool
    differing_days: list[str]
    differing_shards: list[int]


class Recount:
    """Counts what batches bring to the periods that were sealed."""

    def __init__(self, periods: Iterable[Cells]) -> None:
        self._seals = sorted(filter(None, map(_seal, periods)), key=lambda seal: seal.until_us)
        self._ends = [seal.until_us for seal in self._seals]
        self._hashes: dict[int, str] = {}

    def counted(self, batches: Iterable[BatchRows]) -> Iterator[BatchRows]:
        """The same batches, counted on their way."""
        for rows in batches:
            if self._seals:
                self._count(rows)
            yield rows

    def _count(self, rows: BatchRows) -> None:
        if rows.batch is not None:
            self._hashes[rows.batch_id] = rows.batch.hash
        days: dict[str, _Day] = {}
        for header in rows.headers:
            if isinstance(header, HeaderRow) and (day := self._day(header.transaction.effective_at_ms)) is not None:
                days[header.transaction.id] = day
                day.transactions += 1
                day.lines += f"{header.transaction.id} {header.body_hash}\n".encode(errors="surrogateescape")
        for entry in rows.entries if days else ():
            if isinstance(entry, EntryRow) and (of := days.get(entry.tx_id)) is not None:
                of.entries += 1
                of.sums[entry.currency, entry.layer][entry.side < 0] += entry.amount

    def _day(self, effective_at_ms: int) -> _Day | None:
        index = bisect_right(self._ends, effective_at_ms * 1000)
        return None if index == len(self._ends) else self._seals[index].days[effective_at_ms // DAY_MS]

    def checked(self) -> Iterator[SealCheck]:
        """What became of every seal, oldest first, once all batches have been counted."""
        since = None
        for seal in self._seals:
            yield self._checked(seal, since)
            since = seal.until

    def _checked(self, seal: _Seal, since: str | None) -> SealCheck:
        try:
            said = {day["day"]: day for day in seal.manifest["days"]}
            ends = {int(shard): (end["batch_id"], end["hash"]) for shard, end in seal.manifest["batches"].items()}
            is_bound = [_same_time(seal.manifest[name]) for name in ("since", "until")] == [since, seal.until]
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
            return SealCheck(since, seal.until, False, [], [])
        found = {day["day"]: day for day in map(_told, seal.days, seal.days.values())}
        days = sorted(day for day in {**said, **found} if said.get(day) != found.get(day))
        shards = sorted(shard for shard, (batch_id, hash_) in ends.items() if self._hashes.get(batch_id) != hash_)
        return SealCheck(since, seal.until, is_bound and not days and not shards, days, shards)


def _seal(cells: Cells) -> _Seal | None:
    """None for a period that was closed and not sealed. What cannot be read is a seal that nothing agrees with."""
    try:
        until_us, _, _, text = cells
        manifest = json.loads(text)
        return _Seal(int(until_us), _time(int(until_us)), manifest, defaultdict(_Day)) if manifest else None
    except (ValueError, OverflowError, RecursionError):
        return _Seal(-1, ",".join(cells)[:120], {}, defaultdict(_Day))


def _time(at_us: int) -> str:
    return (EPOCH + at_us * _MICROSECOND).isoformat().replace("+00:00", "Z")


def _same_time(text: str | None) -> str | None:
    return None if text is None else _time((datetime.fromisoformat(text) - EPOCH) // _MICROSECOND)


def _told(number: int, day: _Day) -> dict[str, Any]:
    """A day as a manifest tells it."""
    digest = sha256(b"".join(sorted(day.lines.splitlines(keepends=True)))).hexdigest()
    sums = [
        {"currency": currency, "layer": Layer(layer).name.lower(), "debits": debits, "credits": credits_}
        for (currency, layer), (debits, credits_) in sorted(day.sums.items())
    ]
    facts = {"transactions": day.transactions, "entries": day.entries, "sums": sums, "sha256": digest}
    return {"day": day_named(number), **facts}


def day_named(number: int) -> str:
    """The UTC day that is so many days after 1970-01-01."""
    ordinal = EPOCH.toordinal() + number
    return str(date.fromordinal(ordinal)) if 0 < ordinal <= date.max.toordinal() else f"day {number}"
