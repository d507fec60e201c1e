"""Records what the treasury says before anybody acts on it.

Nothing may be asked of a provider while the decision that asks for it, and the job that it belongs to, are only in memory:
after a crash the desk may decide otherwise, and nobody could say any more why money moved. So this step stands in the middle
of the flow, and hands on what it has committed.
"""

from collections.abc import Callable
from typing import TypeVar

import bytewax.operators as op

from domain.messages.fields import Message
from domain.streams.records import Progress
from domain.treasury.records import Records
from operators.streams.feeds import Feed

T = TypeVar("T")


def recorded(name: str, feed: Feed[T], open_records: Callable[[], Records]) -> Feed[T]:
    """Record the messages among the values, then hand everything on. `open_records` is called when the first one comes."""
    opened: list[Records] = []

    def kept(batch: list[Progress[T]]) -> list[Progress[T]]:
        messages = [r.value for progress in batch for r in progress.records if isinstance(r.value, Message)]
        if messages:
            if not opened:
                opened.append(open_records())
            opened[0].record(messages)
        return batch

    return Feed(op.flat_map_batch(name, feed.stream, kept), feed.sources)
