"""Records decisions before anybody acts on them.

An order must never be on its way while the decision that it carries out is only in memory: after a crash the desk may decide
otherwise, and nobody could say any more why the order was sent. So this step stands in the middle of the flow, and hands
on what it has committed.
"""

from collections.abc import Callable, Sequence

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream

from domain.messages import Decision
from domain.streams import Progress

Keep = Callable[[Sequence[Decision]], None]
"""Commits decisions; one that is there already stays as it is."""


@operator
def record_decisions(step_id: str, up: KeyedStream[Progress], open_records: Callable[[], Keep]) -> KeyedStream[Progress]:
    """Keep the decisions among the values, then hand everything on. `open_records` is called when the first one comes."""
    opened: list[Keep] = []

    def kept(batch: list[tuple[str, Progress]]) -> list[tuple[str, Progress]]:
        decisions = [r.value for _, progress in batch for r in progress.records if isinstance(r.value, Decision)]
        if decisions:
            if not opened:
                opened.append(open_records())
            opened[0](decisions)
        return batch

    return op.flat_map_batch("keep", up, kept)
