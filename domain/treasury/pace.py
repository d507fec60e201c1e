"""How fast money moves in each buffer: what windows and whole days of it were like, from which forecasts and thresholds follow.

A window counts when it has closed, whether anything flowed in it or not; a day when the first window of the next one closes.
Amounts are in micro-dollars.
"""

from collections.abc import Iterable
from typing import NamedTuple

from domain.messages.treasury import BufferName
from domain.streams.records import Snapshot
from domain.times import DAY_MS
from domain.treasury.forecast import Moments, weigh_in

DAYS_MEMORY = 30
"""About so many days say how much moves in one."""


class Pace(NamedTuple):
    """The moments of windows and of days, and what has flowed by now on the day that goes on."""

    windows: Moments = Moments()
    days: Moments = Moments()
    day: int = 0
    flowed: int = 0


class Paces:
    """The pace of every buffer; a part of the desk."""

    def __init__(self, windows_memory: int, snapshot: Snapshot | None = None) -> None:
        self._memory = windows_memory
        self._of: dict[BufferName, Pace] = {
            name: Pace(Moments(*windows), Moments(*days), day, flowed) for name, windows, days, day, flowed in snapshot or ()
        }

    def snapshot(self) -> Snapshot:
        """The paces as tuples."""
        return tuple((name, tuple(one.windows), tuple(one.days), one.day, one.flowed) for name, one in self._of.items())

    def of(self, name: BufferName) -> Pace:
        """Return the pace of a buffer."""
        return self._of.get(name, Pace())

    def close(self, end_ms: int, nets: Iterable[tuple[BufferName, int]]) -> None:
        """Count a window that has closed, with what flowed in it in each buffer."""
        for name, net in nets:
            self._of[name] = _after(self.of(name), end_ms, net, self._memory)


def _after(pace: Pace, end_ms: int, net: int, memory: int) -> Pace:
    day = (end_ms - 1) // DAY_MS
    is_new = pace.windows.windows > 0 and day > pace.day
    days = weigh_in(pace.days, pace.flowed, DAYS_MEMORY) if is_new else pace.days
    return Pace(weigh_in(pace.windows, net, memory), days, day, net if is_new else pace.flowed + net)
