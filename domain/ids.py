"""Ids derived from content: the same facts give the same id, in any run, in any order.

A transaction id carries its effective time in the first 48 bits, so ids sort by time and the index grows at its right end;
the rest is a BLAKE2b digest of what the transaction stands for. Where somebody outside has named it, the time is no part of
its name, and those bits are zero. The layout is that of a version 8 UUID (RFC 9562).
"""

from functools import lru_cache
from hashlib import blake2b

_SEPARATOR = "\x1f"


def _digest(size: int, parts: tuple[str, ...]) -> str:
    return blake2b(_SEPARATOR.join(parts).encode(), digest_size=size).hexdigest()


def timed_id(at_ms: int, *parts: str) -> str:
    """A UUID that sorts by `at_ms` (epoch milliseconds, 0 to 2**48 - 1) and names `parts`."""
    h = _digest(10, parts)
    return f"{_time(at_ms)}-8{h[:3]}-8{h[3:6]}-{h[6:18]}"


@lru_cache(1024)
def _time(at_ms: int) -> str:
    # Much happens in the same millisecond, and what has a name outside has no time at all.
    t = f"{at_ms:012x}"
    return f"{t[:8]}-{t[8:]}"


def timeless_id(*parts: str) -> str:
    """A UUID that names `parts`, as somebody outside does: the same name is the same thing, whatever time is told with it.

    It sorts before all that have a time, so a writer that remembers the recent ones asks the database about it.
    """
    return timed_id(0, *parts)


def content_id(*parts: str) -> str:
    """A UUID that names `parts` and nothing else."""
    h = _digest(16, parts)
    return f"{h[:8]}-{h[8:12]}-8{h[13:16]}-8{h[17:20]}-{h[20:]}"


def client_id(decision_id: str) -> str:
    """The 32 alphanumeric characters that an exchange accepts as our own id, from the decision it carries out."""
    return _digest(16, ("client", decision_id))
