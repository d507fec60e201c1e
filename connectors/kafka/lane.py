"""The order within a lane: several partitions read by one consumer, handed on side by side.

A broker hands out partitions in lumps, one far ahead of the others. What is ahead would have to wait in the first step
where streams meet, and be saved with every snapshot there. So it waits here, where it costs nothing: a place counts as
reached only what was handed on, and the rest is read again after a restart. The *horizon* is the time that every
partition has reached; what lies before it is handed on, and it is the watermark of them all.
"""

from collections import deque
from collections.abc import Iterable

from domain.streams.records import RawBatch, RawMessage

WAITING_MAX = 20_000
"""A partition that is so many messages ahead is not read for a while."""


class Place:
    """How far one partition has been read, and how far handed on (`next_offset`).

    Offsets have holes: markers of transactions, what was aborted, what was compacted. So once a partition has been read to its
    end and everything of it was handed on, the next offset is that end, which may lie behind the last message by some.
    """

    __slots__ = ("at_end", "end_offset", "is_paused", "next_offset", "partition", "read_ms", "topic", "waiting")

    def __init__(self, topic: str, partition: int, next_offset: int) -> None:
        self.topic = topic
        self.partition = partition
        self.next_offset = next_offset
        self.read_ms = -1
        self.at_end = False
        self.end_offset = 0
        self.is_paused = False
        self.waiting: deque[RawMessage] = deque()

    def reach_end(self, end_offset: int) -> None:
        """Take note that nothing is left to read before this offset."""
        self.at_end = True
        self.end_offset = end_offset

    def read(self, message: RawMessage) -> None:
        """Take a message that was read."""
        self.at_end = False
        self.waiting.append(message)
        if message.at_ms > self.read_ms:  # noqa: PLR1730 - for each message, and `max` costs thrice as much
            self.read_ms = message.at_ms

    def reached_ms(self, heartbeat_ms: int) -> int:
        """Until when this partition is known; one that has been read to its end goes on telling time."""
        return max(self.read_ms, heartbeat_ms) if self.at_end else self.read_ms

    def is_ahead_of(self, horizon_ms: int) -> bool:
        """Whether so much waits here for others that it should not be read for a while. What the others wait for is read."""
        return len(self.waiting) > WAITING_MAX and self.read_ms > horizon_ms

    def hand_on(self, horizon_ms: int) -> list[RawMessage]:
        """What lies before the horizon, in offset order."""
        waiting, ready = self.waiting, []
        if self.read_ms < horizon_ms:
            ready = [*waiting]
            waiting.clear()
        while waiting and waiting[0].at_ms < horizon_ms:
            ready.append(waiting.popleft())
        if ready:
            self.next_offset = ready[-1].offset + 1
        if self.at_end and not waiting:
            self.next_offset = max(self.next_offset, self.end_offset)
        return ready


class Horizon:
    """The time that all places of a lane have reached; it never goes back."""

    def __init__(self) -> None:
        self.at_ms = -1

    def advance(self, places: Iterable[Place], heartbeat_ms: int) -> list[RawBatch]:
        """Hand on what the new horizon allows; empty if it has not moved."""
        places = list(places)
        at_ms = min((place.reached_ms(heartbeat_ms) for place in places), default=-1)
        if at_ms <= self.at_ms:
            return []
        self.at_ms = at_ms
        return [RawBatch(place.topic, place.partition, at_ms, place.hand_on(at_ms)) for place in places]
