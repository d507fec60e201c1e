"""The windows that are open: what has come and gone in each buffer, by event time, until a window and its lateness are over.

A flow counts in the window of its own time while that is open, and else in the window in which it is heard (see `window.py`).
A window closes one millisecond after its lateness, so what is heard at that very moment still counts.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from domain.messages.treasury import BufferName, NetSettlement, NetWindow, Obligation
from domain.streams.records import Snapshot
from domain.treasury.netting import Obligation as Owed
from domain.treasury.netting import net_obligations
from domain.treasury.policy import TreasuryPolicy


class Counted(NamedTuple):
    """A flow as a window counts it, in minor units, by when it was; `is_late` if it belongs to an earlier one."""

    at_ms: int
    name: str
    amount: int
    is_late: bool


class Window(NamedTuple):
    """What has come until now: flows by buffer, and what entities owe each other."""

    flows: dict[BufferName, list[Counted]]
    owed: list[Owed]


class Windows:
    """All open windows, by their ends; a part of the desk."""

    def __init__(self, policy: TreasuryPolicy, snapshot: Snapshot | None = None) -> None:
        windows, self._closed_ms = snapshot or ((), 0)
        self._policy = policy
        self._open: dict[int, Window] = {
            end_ms: Window(
                {name: [Counted(*one) for one in flows] for name, flows in by_buffer}, [Owed(*one) for one in owed]
            )
            for end_ms, by_buffer, owed in windows
        }

    def snapshot(self) -> Snapshot:
        """The windows as tuples."""
        windows = tuple(
            (
                end_ms,
                tuple((name, tuple(map(tuple, flows))) for name, flows in one.flows.items()),
                tuple(map(tuple, one.owed)),
            )
            for end_ms, one in self._open.items()
        )
        return windows, self._closed_ms

    def end_of(self, at_ms: int) -> int:
        """Return the end of the window that a moment lies in."""
        return self._policy.span(at_ms).end_ms

    def see(self, at_ms: int) -> None:
        """Open the window of a moment: it is evaluated whether anything flows in it or not."""
        self._window(self.end_of(at_ms))

    def count(self, buffer: BufferName, name: str, amount: int, event_ms: int, heard_ms: int) -> None:
        """Count a flow in its window, or, when that is closed, in the one in which it is heard."""
        end_ms = self.end_of(event_ms)
        is_late = end_ms <= self._closed_ms
        window = self._window(self._open_end(end_ms, heard_ms))
        window.flows.setdefault(buffer, []).append(Counted(event_ms, name, amount, is_late))

    def owe(self, told: Obligation, heard_ms: int) -> None:
        """Count what one entity owes another."""
        window = self._window(self._open_end(self.end_of(told.effective_at), heard_ms))
        window.owed.append(Owed(told.debtor, told.creditor, told.amount_cents))

    def closes_at_ms(self) -> int | None:
        """When the next window is over."""
        return min(self._open) + self._policy.lateness_seconds * 1000 + 1 if self._open else None

    def close(self) -> tuple[int, Window]:
        """Take out the window that is over first, with its end."""
        end_ms = min(self._open)
        self._closed_ms = end_ms
        return end_ms, self._open.pop(end_ms)

    def flowed_after(self) -> Mapping[BufferName, int]:
        """Return what has flowed by now in windows that are still open, by buffer, in minor units."""
        flowed: dict[BufferName, int] = defaultdict(int)
        for window in self._open.values():
            for name, flows in window.flows.items():
                flowed[name] += sum(flow.amount for flow in flows)
        return flowed

    def _open_end(self, end_ms: int, heard_ms: int) -> int:
        return end_ms if end_ms > self._closed_ms else max(self.end_of(heard_ms), self._closed_ms + self._policy.span_ms)

    def _window(self, end_ms: int) -> Window:
        return self._open.setdefault(end_ms, Window({}, []))


def netted(window: Window, posted: Mapping[BufferName, int], end_ms: int, span_ms: int, at_ms: int) -> Iterator[NetWindow]:
    """Yield what a window came to in each buffer; `posted` is what was in the books when it closed, without later flows."""
    for name, close in sorted(posted.items()):
        flows = sorted(window.flows.get(name, []))
        net = sum(flow.amount for flow in flows)
        level = low = close - net
        for flow in flows:
            level += flow.amount
            low = min(low, level)
        yield NetWindow(
            buffer=name,
            start=end_ms - span_ms,
            end=end_ms,
            flows=len(flows),
            late=sum(flow.is_late for flow in flows),
            open=close - net,
            close=close,
            low=low,
            net=net,
            gross=sum(abs(flow.amount) for flow in flows),
            as_of=at_ms,
        )


def settled(window: Window, end_ms: int, at_ms: int) -> Iterator[NetSettlement]:
    """Yield who pays whom of what was owed in a window, if anything was."""
    if window.owed:
        found = net_obligations(window.owed)
        yield NetSettlement(
            end=end_ms,
            net_cents=dict(found.net),
            gross_cents=found.gross,
            settled_cents=found.settled,
            payments=tuple([(one.debtor, one.creditor, one.amount) for one in found.payments]),
            as_of=at_ms,
        )
