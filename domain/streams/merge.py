"""Several sources in, one order out: records are held until every source has passed them.

A record that arrives after its instant has been released (a producer's clock was behind, or the broker held it longer than
the sources' slack) is not dropped: it is moved to the newest instant that is still open and counted as late. Nothing that
is booked depends on it, since postings follow from the content of messages alone.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import Generic, TypeVar

from domain.streams.records import Progress, Record, Snapshot

T = TypeVar("T")

_ORDER = itemgetter(0, 1, 2)
_AT = itemgetter(0)


class Merge(Generic[T]):
    """The waiting room of a step: `add` what sources hand on, `release` what no source can precede any more."""

    def __init__(self, sources: Iterable[str], snapshot: Snapshot | None = None) -> None:
        self.late = 0
        self.watermark_ms = -1
        self._watermarks = dict.fromkeys(sources, -1)
        self._waiting: list[Record[T]] = []
        if snapshot is not None:
            watermarks, waiting, self.watermark_ms, self.late = snapshot
            self._watermarks |= {s: w for s, w in watermarks.items() if s in self._watermarks}
            self._waiting = [Record(*record) for record in waiting]

    def add(self, progress: Progress[T]) -> None:
        """Take what a source hands on. A source that was not named at the start is a bug and raises KeyError."""
        source, watermark_ms, records, _ = progress
        self._watermarks[source] = max(self._watermarks[source], watermark_ms)
        if records and records[0].at_ms < self.watermark_ms:
            records = self._moved_up(records)
        self._waiting.extend(records)

    def _moved_up(self, records: Sequence[Record[T]]) -> list[Record[T]]:
        floor = self.watermark_ms
        self.late += sum(record.at_ms < floor for record in records)
        return [record if record.at_ms >= floor else record._replace(at_ms=floor) for record in records]

    def release(self) -> list[Record[T]]:
        """Return the records below the smallest watermark in the order (at_ms, source, offset), and forget them."""
        self.watermark_ms = max(self.watermark_ms, min(self._watermarks.values()))
        if not self._waiting:
            return []
        self._waiting.sort(key=_ORDER)
        if self._waiting[-1].at_ms < self.watermark_ms:
            released, self._waiting = self._waiting, []
            return released
        cut = bisect_left(self._waiting, self.watermark_ms, key=_AT)
        released, self._waiting = self._waiting[:cut], self._waiting[cut:]
        return released

    def drain(self) -> list[Record[T]]:
        """Return all records that are held, and forget them: of one source, since others may still precede them."""
        drained, self._waiting = sorted(self._waiting, key=_ORDER), []
        return drained

    def waiting(self) -> Sequence[Record[T]]:
        """Return the records that are held."""
        return self._waiting

    def gauges(self) -> dict[str, int]:
        """How far it has come, and what it holds and has moved."""
        return {"watermark_ms": self.watermark_ms, "late": self.late, "held": len(self._waiting)}

    def snapshot(self) -> Snapshot:
        """Its state, not shared with what goes on changing."""
        return dict(self._watermarks), [tuple(record) for record in self._waiting], self.watermark_ms, self.late
