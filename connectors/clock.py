"""The system clock: the one place of the connectors that reads the time.

Everything else takes a `Clock`, so tests hand in one that they turn themselves.
"""

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Answers the time in epoch milliseconds."""


def now_ms() -> int:
    """The time of this machine, in epoch milliseconds."""
    return time.time_ns() // 1_000_000
