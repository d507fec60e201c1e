"""The system clock: the one place of the connectors that reads the time.

Everything else takes a `Clock`, so tests hand in one that they turn themselves.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], int]
"""Answers the time in epoch milliseconds."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def now_ms() -> int:
    """The time of this machine, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def as_utc(at_ms: int) -> datetime:
    """`at_ms` as an aware time; exact, because it never passes through a float."""
    return _EPOCH + timedelta(milliseconds=at_ms)
