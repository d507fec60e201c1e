"""Records what the settlement refuses before anything later is booked.

After a crash the desk reads words again, and the books may have what came after them by then: the same withdrawal would pass
after a deposit that was later. What was refused has to be known as surely as what was booked, so this step stands between the
desk and the books, and hands on what it has committed.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import bytewax.operators as op

from domain.messages.fields import Message
from domain.settlement.records import Records, refusal_of
from domain.streams.records import Progress
from operators.streams.feeds import Feed

T = TypeVar("T")


def refusals_kept(name: str, feed: Feed[T], open_records: Callable[[], Records]) -> Feed[T]:
    """Record what is refused among the values, then hand everything on."""

    def keep(records: Records, values: Sequence[T]) -> None:
        if refused := [put for value in values if (put := refusal_of(value))]:
            records.refuse(refused)

    return _kept(name, feed, open_records, keep)


def terms_kept(name: str, feed: Feed[Message], open_records: Callable[[], Records]) -> Feed[Message]:
    """Record terms of trading, then hand them on."""
    return _kept(name, feed, open_records, lambda records, values: records.keep(values))


def _kept(
    name: str, feed: Feed[T], open_records: Callable[[], Records], keep: Callable[[Records, Sequence[T]], None]
) -> Feed[T]:
    opened: list[Records] = []

    def kept(batch: list[Progress[T]]) -> list[Progress[T]]:
        values = [record.value for progress in batch for record in progress.records]
        if values:
            if not opened:
                opened.append(open_records())
            keep(opened[0], values)
        return batch

    return Feed(op.flat_map_batch(name, feed.stream, kept), feed.sources)
