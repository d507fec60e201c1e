"""Waiting for facts: a test waits until something is so, and never for a while.

A machine may be a hundred times slower than another, so the patience is long; it ends only what would hang for ever.
"""

import time
from collections.abc import Callable

PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.02


def until(holds: Callable[[], bool], what: str, look_seconds: float = LOOK_SECONDS) -> None:
    """Wait until something holds; AssertionError says for what it waited in vain."""
    start = time.monotonic()
    while not holds():
        waited = time.monotonic() - start
        assert waited < PATIENCE_SECONDS, f"waited {waited:.0f} s for {what}"
        time.sleep(look_seconds)
