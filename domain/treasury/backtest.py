"""What a policy would have done over flows that were.

Two ways. `backtest` looks at one buffer, as if whatever it orders were there at once. `replay` plays a group of buffers that
give to each other, as the desk does it: flows count as they come; an emergency orders at once, anything else at the end of a
window; what was ordered leaves its source then and arrives after a time, less a fee where it is converted; and whoever looks
counts what is on its way. `one_by_one` is what both are held against: a conversion for every single flow.

Nobody sweeps and nobody brings money from outside, so policies differ by what they do and by nothing else. A buffer may go
below zero: customers wait then, and the windows at whose end they do are counted.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import NamedTuple

from domain.times import DAY_MS
from domain.treasury.buffer import Buffer, Thresholds, status
from domain.treasury.decide import BufferPolicy, Leg, decide_buffer, is_triggered, is_urgent, needed
from domain.treasury.fees import fee_of, gross_up
from domain.treasury.forecast import Moments, weigh_in

DAYS_REMEMBERED = 14
_NEVER = 10**36
"""A smallest ticket that nothing is as large as."""

_WORST_FIRST = ("CRITICAL_LOW", "BELOW_TARGET", "HEALTHY", "OVER_CAPITALIZED")


class Outcome(NamedTuple):
    """How often and how much was converted for which fees, the lowest balance before anything came, and the last."""

    conversions: int
    volume: int
    fees: int
    low: int
    close: int


def backtest(opened: Buffer, flows: Sequence[int], policy: BufferPolicy, fee_rate: Decimal) -> Outcome:
    """Return what a policy comes to over the flows of one buffer, in their order."""
    buffer, low, orders = opened, opened.posted, list[int]()
    for flow in flows:
        buffer = buffer._replace(posted=buffer.posted + flow)
        low = min(low, buffer.posted)
        if is_triggered(buffer, policy):
            orders.append(needed(buffer, policy))
            buffer = buffer._replace(posted=buffer.posted + orders[-1])
    return Outcome(len(orders), sum(orders), sum(fee_of(one, fee_rate) for one in orders), low, buffer.posted)


class GroupFlow(NamedTuple):
    """What came into a buffer, or left it with a minus."""

    at_ms: int
    buffer: str
    amount: int


class Terms(NamedTuple):
    """What a conversion costs and how long one takes, how long a window is, and who may give to whom."""

    fee_rate: Decimal
    eta_ms: int
    span_ms: int
    sources: Mapping[str, Sequence[str]]


Follow = Callable[[Moments, Thresholds], Thresholds]
"""Makes new thresholds of the moments of days and those that were told; it is asked at the end of each day."""


class Replayed(NamedTuple):
    """What a policy comes to: how often and how much was moved and for which fees; how low each buffer fell; at the end of
    how many windows, over all buffers, one was under the minimum that was told, or below zero; what lay over the targets
    then, times windows; what is still on its way in the end; and what each had at the end of each window.
    """

    conversions: int
    transfers: int
    volume: int
    fees: int
    low: Mapping[str, int]
    under_min: int
    below_zero: int
    idle_windows: int
    in_flight: int
    levels: Sequence[Mapping[str, int]]


def idle_cost(replayed: Replayed, annual_rate: Decimal, span_ms: int) -> int:
    """Return what the money over the targets would have earned, half to even."""
    return round(replayed.idle_windows * Fraction(annual_rate) * span_ms / (365 * DAY_MS))


def replay(
    opened: Sequence[Buffer], flows: Sequence[GroupFlow], policy: BufferPolicy, terms: Terms, follow: Follow | None = None
) -> Replayed:
    """Return what a policy comes to over the flows of a group, which are in the order of their times."""
    group = _Group(opened, terms, policy)
    if not flows:
        return group.replayed()
    at, start_ms = 0, flows[0].at_ms - flows[0].at_ms % terms.span_ms
    for end_ms in range(start_ms + terms.span_ms, flows[-1].at_ms + terms.span_ms + 1, terms.span_ms):
        while at < len(flows) and flows[at].at_ms < end_ms:
            group.flow(flows[at])
            at += 1
        group.close(end_ms)
        if follow and end_ms % DAY_MS == 0:
            group.follow(follow)
    return group.replayed()


def one_by_one(opened: Sequence[Buffer], flows: Sequence[GroupFlow], terms: Terms) -> Replayed:
    """Return what it comes to when every flow is converted by itself, with the outside and not among the buffers.

    What came in leaves again at once, and what was taken out is there again after the time that a conversion takes.
    """
    never = BufferPolicy(ticket_min=_NEVER)
    taken = [flow._replace(amount=min(0, flow.amount)) for flow in flows]
    back = [flow._replace(at_ms=flow.at_ms + terms.eta_ms, amount=-flow.amount) for flow in taken]
    found = replay(opened, sorted([*taken, *back]), never, terms._replace(sources=dict.fromkeys(terms.sources, ())))
    amounts = [abs(flow.amount) for flow in flows]
    fees = sum(fee_of(amount, terms.fee_rate) for amount in amounts)
    return found._replace(conversions=len(flows), volume=sum(amounts), fees=fees)


class _Group:
    """Buffers while they are replayed, and what has been counted."""

    def __init__(self, opened: Sequence[Buffer], terms: Terms, policy: BufferPolicy) -> None:
        self._terms = terms
        self._policy = policy
        self._told = {buffer.name: buffer.thresholds for buffer in opened}
        self._buffers = {buffer.name: buffer for buffer in opened}
        self._coming: deque[tuple[int, str, int]] = deque()
        self._moved: Counter[str] = Counter()
        self._low = {buffer.name: buffer.posted for buffer in opened}
        self._day: Counter[str] = Counter()
        self._moments = dict.fromkeys(self._told, Moments())
        self._levels: list[Mapping[str, int]] = []

    def flow(self, flow: GroupFlow) -> None:
        """Take a flow in, and act at once if it leaves an emergency."""
        self._arrive(flow.at_ms)
        self._post(flow.buffer, flow.amount)
        self._day[flow.buffer] += flow.amount
        buffer = self._buffers[flow.buffer]
        self._low[buffer.name] = min(self._low[buffer.name], buffer.posted)
        if is_urgent(buffer.available, buffer.thresholds.min, self._policy):
            self._decide(buffer.name, flow.at_ms)

    def close(self, end_ms: int) -> None:
        """End a window: look at each buffer, the worst first."""
        self._arrive(end_ms)
        for buffer in sorted(self._buffers.values(), key=_urgency):
            self._decide(buffer.name, end_ms)
        self._levels.append({name: buffer.posted for name, buffer in self._buffers.items()})
        self._count()

    def follow(self, follow: Follow) -> None:
        """End a day: let thresholds follow from what has flowed."""
        for name, buffer in self._buffers.items():
            self._moments[name] = weigh_in(self._moments[name], self._day[name], DAYS_REMEMBERED)
            self._buffers[name] = buffer._replace(thresholds=follow(self._moments[name], self._told[name]))
        self._day.clear()

    def replayed(self) -> Replayed:
        """Return what has been counted."""
        moved = self._moved
        return Replayed(
            moved["conversion"],
            moved["transfer"],
            moved["volume"],
            moved["fees"],
            self._low,
            moved["under_min"],
            moved["below_zero"],
            moved["idle"],
            sum(received for _, _, received in self._coming),
            self._levels,
        )

    def _decide(self, name: str, now_ms: int) -> None:
        sources = [self._buffers[source] for source in self._terms.sources[name]]
        for leg in decide_buffer(self._buffers[name], sources, self._policy).legs:
            self._order(name, leg, now_ms)

    def _order(self, name: str, leg: Leg, now_ms: int) -> None:
        """Take out of the source what covers the leg after the fee, as far as that leaves the source its minimum."""
        rate = self._terms.fee_rate if leg.how == "conversion" else Decimal(0)
        source = self._buffers[leg.source]
        order = min(gross_up(leg.amount, rate).order, max(leg.amount, source.available - source.thresholds.min))
        received = order - fee_of(order, rate)
        self._post(leg.source, -order)
        self._low[leg.source] = min(self._low[leg.source], self._buffers[leg.source].posted)
        self._buffers[name] = self._buffers[name]._replace(in_flight=self._buffers[name].in_flight + received)
        self._coming.append((now_ms + self._terms.eta_ms, name, received))
        self._moved.update({leg.how: 1, "volume": order, "fees": order - received})

    def _arrive(self, now_ms: int) -> None:
        while self._coming and self._coming[0][0] <= now_ms:
            _, name, received = self._coming.popleft()
            self._post(name, received)
            self._buffers[name] = self._buffers[name]._replace(in_flight=self._buffers[name].in_flight - received)

    def _post(self, name: str, amount: int) -> None:
        self._buffers[name] = self._buffers[name]._replace(posted=self._buffers[name].posted + amount)

    def _count(self) -> None:
        for name, buffer in self._buffers.items():
            self._moved["under_min"] += buffer.posted < self._told[name].min
            self._moved["below_zero"] += buffer.posted < 0
            self._moved["idle"] += max(0, buffer.posted - buffer.thresholds.target)


def _urgency(buffer: Buffer) -> tuple[int, str]:
    return _WORST_FIRST.index(status(buffer.position, buffer.thresholds)), buffer.name
