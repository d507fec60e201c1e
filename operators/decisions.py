"""Records decisions before anybody acts on them.

An order must never be on its way while the decision that it carries out is only in memory: after a crash the desk may decide
otherwise, and nobody could say any more why the order was sent. So this step stands in the middle of the flow, and hands
on what it has committed.
"""

from collections.abc import Callable
from typing import TypeVar

import bytewax.operators as op

from domain.hedging.decisions import Keep
from domain.messages.decisions import Decision
from domain.streams.records import Progress
from operators.streams.feeds import Feed

T = TypeVar("T")


def record_decisions(name: str, decided: Feed[T], open_records: Callable[[], Keep]) -> Feed[T]:
    """Keep the decisions among the values, then hand everything on. `open_records` is called when the first one comes."""
    opened: list[Keep] = []

    def kept(batch: list[Progress[T]]) -> list[Progress[T]]:
        decisions = [r.value for progress in batch for r in progress.records if isinstance(r.value, Decision)]
        if decisions:
            if not opened:
                opened.append(open_records())
            opened[0](decisions)
        return batch

    return Feed(op.flat_map_batch(name, decided.stream, kept), decided.sources)
