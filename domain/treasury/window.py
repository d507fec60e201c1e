"""What flows in and out of a buffer within a window of event time, netted before anything is converted.

A window has a first moment and ends before the first of the next one. What happened in it and is heard of by
`lateness_ms` after its end counts in it; what is heard of later counts in the window in which it is heard, and is never
dropped. The order is that of event times, so the lowest balance is what was really the lowest, however the words came.

Whatever is ordered inside a window counts in the position from then on. So a flow that leaves so little that it is an
emergency orders at once, and neither the next flow nor the end of the window orders the same again.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from domain.treasury.buffer import Buffer
from domain.treasury.decide import BufferPolicy, is_triggered, is_urgent, needed


class Flow(NamedTuple):
    """What came in, or went out with a minus, when that was, and when it was heard of."""

    at_ms: int
    amount: int
    heard_at_ms: int


class Span(NamedTuple):
    """A window of event time; the end is the first moment that is not in it."""

    start_ms: int
    end_ms: int
    lateness_ms: int = 30_000


class Sorted(NamedTuple):
    """The flows that a window has, by event time; those that are for a later window by their time, or because they were
    heard late.
    """

    counted: Sequence[Flow]
    next: Sequence[Flow]
    late: Sequence[Flow]


class Ordered(NamedTuple):
    """What was ordered, and when."""

    at_ms: int
    amount: int


class Netting(NamedTuple):
    """What a window comes to: its sum, the balance at its end and at its lowest, all movement, and what was ordered for it."""

    net: int
    close: int
    low: int
    gross: int
    urgent: Sequence[Ordered]
    at_close: int


def sort_flows(flows: Iterable[Flow], span: Span) -> Sorted:
    """Return which flows a window has; a function of the set."""
    by_time = sorted(flows)
    here = [flow for flow in by_time if flow.at_ms < span.end_ms]
    heard_until_ms = span.end_ms + span.lateness_ms
    return Sorted(
        [flow for flow in here if flow.heard_at_ms <= heard_until_ms],
        [flow for flow in by_time if flow.at_ms >= span.end_ms],
        [flow for flow in here if flow.heard_at_ms > heard_until_ms],
    )


def net_window(opened: Buffer, flows: Sequence[Flow], policy: BufferPolicy) -> Netting:
    """Return what a window comes to, of a buffer as it was when it opened and its flows in the order of event time."""
    buffer, low = opened, opened.posted
    urgent = list[Ordered]()
    for flow in flows:
        buffer = buffer._replace(posted=buffer.posted + flow.amount)
        low = min(low, buffer.posted)
        order = _ordered(buffer, policy) if is_urgent(buffer.available, buffer.thresholds.min, policy) else 0
        if order:
            urgent.append(Ordered(flow.at_ms, order))
            buffer = buffer._replace(in_flight=buffer.in_flight + order)
    gross = sum(abs(flow.amount) for flow in flows)
    return Netting(buffer.posted - opened.posted, buffer.posted, low, gross, urgent, _ordered(buffer, policy))


def _ordered(buffer: Buffer, policy: BufferPolicy) -> int:
    return needed(buffer, policy) if is_triggered(buffer, policy) else 0
