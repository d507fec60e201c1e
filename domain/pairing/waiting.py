"""The legs that wait for a partner: since when, what they are worth, and which have waited too long.

Time only moves on, so legs wait in the order in which they grow too old: ordered dicts are the queues, and a leg that
pairs leaves no trace, as it would in a heap. A leg that is too old stays in a queue of its own until its partner comes.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from domain.pairing.effects import WaitState


class Waiting(NamedTuple):
    """How one leg waits; `since_ms` is stream time, `cents` what it is worth."""

    key: str
    since_ms: int
    state: WaitState
    cents: int


class WaitingLegs:
    """The waiting legs, by id."""

    __slots__ = ("_age_max_ms", "_fresh", "_old", "worth_cents")

    def __init__(self, age_max_ms: int) -> None:
        self.worth_cents = 0
        """What all of them are worth together."""
        self._age_max_ms = age_max_ms
        self._fresh: OrderedDict[str, Waiting] = OrderedDict()
        self._old: OrderedDict[str, Waiting] = OrderedDict()

    def __len__(self) -> int:
        return len(self._fresh) + len(self._old)

    def __iter__(self) -> Iterator[tuple[str, Waiting]]:
        """All of them with their ids, the oldest first."""
        yield from self._old.items()
        yield from self._fresh.items()

    def get(self, leg_id: str) -> Waiting | None:
        """How a leg waits, if it does."""
        return self._fresh.get(leg_id) or self._old.get(leg_id)

    def add(self, leg_id: str, waiting: Waiting) -> None:
        """Let a leg wait that did not."""
        (self._old if waiting.state == "too_old" else self._fresh)[leg_id] = waiting
        self.worth_cents += waiting.cents

    def rename(self, leg_id: str, state: WaitState) -> None:
        """Let a leg that is not too old wait on in another state, in its place."""
        self._fresh[leg_id] = self._fresh[leg_id]._replace(state=state)

    def move(self, leg_id: str, key: str) -> None:
        """Let a leg wait on under another key, in its place."""
        queue = self._fresh if leg_id in self._fresh else self._old
        queue[leg_id] = queue[leg_id]._replace(key=key)

    def remove(self, leg_id: str) -> None:
        """Let a leg wait no longer."""
        self.worth_cents -= (self._fresh.pop(leg_id, None) or self._old.pop(leg_id)).cents

    def wake_at_ms(self) -> int | None:
        """When the next leg will have waited too long."""
        since_ms = self.fresh_since_ms
        return None if since_ms is None else since_ms + self._age_max_ms

    def grow_old(self, at_ms: int) -> Iterator[tuple[str, Waiting]]:
        """The legs that have waited too long by now, each of them once."""
        while (due_ms := self.wake_at_ms()) is not None and due_ms <= at_ms:
            leg_id, waiting = self._fresh.popitem(last=False)
            self._old[leg_id] = waiting._replace(state="too_old")
            yield leg_id, waiting

    @property
    def fresh_since_ms(self) -> int | None:
        """Since when the leg waits that will be the next to have waited too long."""
        waiting = next(iter(self._fresh.values()), None)
        return waiting and waiting.since_ms

    @property
    def oldest_since_ms(self) -> int | None:
        """Since when the leg that has waited longest waits."""
        oldest = next(iter(self), None)
        return oldest and oldest[1].since_ms
