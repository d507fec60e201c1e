"""Reserves every request to the outside before it is sent, and says which were refused.

A reservation is a committed row, of which at most one is open in a slot. A gateway sends what is reserved and nothing else, so
a request can be repeated here as often as a crash wants: the same id is reserved once. A refusal, as of what was decided on
facts that are old by now, is an answer like any other; whoever decided hears it and decides again.
What is reserved is told by the gateway, from the record of all state changes, so that it can never be told after its end.
"""

from collections.abc import Callable, Iterable
from typing import Any

import bytewax.operators as op
from bytewax.operators import StatefulBatchLogic

from domain.messages.fields import Message
from domain.outbox.kinds import is_request, refusal_of
from domain.outbox.slots import Refused, Reservations
from domain.streams.records import Progress, Record, Snapshot
from operators.streams.feeds import Feed
from operators.streams.machines import Answers, Pulse, named, of_version

SHARD = "outbox-00"
VERSION = 1


class ReservingLogic(StatefulBatchLogic[Progress[Any], Answers[Message], Snapshot]):
    """The requests to all counterparties, in the order in which they were decided."""

    def __init__(self, reservations: Reservations, next_offset: int = 0) -> None:
        self._reservations = reservations
        self._next_offset = next_offset
        self._pulse = Pulse()

    def on_batch(self, values: list[Progress[Any]]) -> tuple[Iterable[Answers[Message]], bool]:
        """Reserve what is asked for, each in a transaction of its own."""
        records = [record for progress in values for record in progress.records]
        refused = [(record.at_ms, report) for record in records if (report := self._reserve(record)) is not None]
        watermark_ms = values[-1].watermark_ms
        gauges = {"watermark_ms": watermark_ms} if self._pulse.beats(watermark_ms) else {}
        said = Answers(watermark_ms, self._next_offset, refused, gauges)
        self._next_offset += len(refused)
        return [said] if refused or gauges else [], False

    def _reserve(self, record: Record[Any]) -> Message | None:
        if not is_request(record.value):
            return None
        answer = self._reservations.reserve(record.value)
        return refusal_of(record.value, answer.reason, record.at_ms) if isinstance(answer, Refused) else None

    def snapshot(self) -> Snapshot:
        """The number of the next answer; all else is in the store."""
        return VERSION, self._next_offset


def reserve(name: str, wanted: Feed[Any], open_reservations: Callable[[], Reservations]) -> Feed[Message]:
    """Reserve what is asked for among the values of a feed; out comes a report per request that was refused."""

    def build(resume: Snapshot | None) -> ReservingLogic:
        return ReservingLogic(open_reservations(), *(of_version(name, VERSION, resume) if resume is not None else ()))

    keyed = op.map(f"{name}_to_shard", wanted.stream, lambda progress: (SHARD, progress))
    return Feed(named(name, op.stateful_batch(name, keyed, build), name), (f"{name}/{SHARD}",))
