"""What a desk knows of what it has asked for: orders and transfers, what is under way, and where that can lead."""

from typing import NamedTuple

from domain.hedging.facts import Span
from domain.times import DAY_MS

ENDED_MAX = 32
"""So many ended orders are remembered, and so many transfers."""


class Asked(NamedTuple):
    """What the desk knows of its orders, or of its transfers: the open one and its amount, how far the last that ended reaches,
    when it last asked, how many in a row came to nothing, and which have ended lately: what has ended stays ended, whatever
    is told of it afterwards."""

    open_id: str | None = None
    finished_sequence: int = 0
    asked_at_ms: int | None = None
    ended_ids: tuple[str, ...] = ()
    refusals: int = 0
    on_chain_sats: int = 0


class Moved(NamedTuple):
    """What was deposited and withdrawn in a UTC day, without what failed."""

    day: int = 0
    sats: int = 0

    def on(self, at_ms: int) -> int:
        """Return what of it counts at this time."""
        return self.sats if at_ms // DAY_MS == self.day else 0


def reaching(span: Span | None, contracts: int) -> Span | None:
    """Return where the position can get by an order more; one that closes (0) leads to none at all."""
    if span is None:
        return None
    low, high = span
    return (min(low, low + contracts), max(high, high + contracts)) if contracts else (min(low, 0), max(high, 0))


def ended(asked: Asked, name: str, sequence: int, *, came_to_nothing: bool) -> Asked:
    """Return what is known once an order or a transfer has ended; told again, it is not counted again."""
    is_news = name not in asked.ended_ids
    return asked._replace(
        refusals=asked.refusals + is_news if came_to_nothing else 0,
        open_id=None if asked.open_id == name else asked.open_id,
        finished_sequence=max(asked.finished_sequence, sequence),
        ended_ids=(*(one for one in asked.ended_ids if one != name), name)[-ENDED_MAX:],
    )


def forgotten(asked: Asked, name: str) -> Asked:
    """Return what is known without anything that was told of an order or a transfer; of one that nothing was, all of it."""
    if name not in (asked.open_id, *asked.ended_ids):
        return asked
    return asked._replace(
        open_id=None if asked.open_id == name else asked.open_id,
        finished_sequence=0,
        ended_ids=tuple([one for one in asked.ended_ids if one != name]),
    )
