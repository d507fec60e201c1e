"""Fills and the orders that explain them.

A fill is booked as it is heard, on the suspense account of its venue, and moved from there to the position once a word on an
order of ours explains it, whichever of the two words came first. So what is booked follows from the two messages alone, and
not from how far apart they came. A fill that nothing has explained for ten seconds is of nobody: somebody traded by hand, or
typed it, and a person is told, once. It is explained all the same when the word of its order comes.

Of two words on one fill the first holds here; that the second says something else, the ledger tells. An order is remembered
for an hour after its last word, and a fill that was explained as long: both come in one round of the gateway. A fill that
nothing explains waits for ever, as legs do.
"""

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from domain.messages.venue import Fill, OrderReport
from domain.streams.records import Record, Snapshot

UNEXPLAINED_MS = 10_000
"""So long what an exchange says, a fill or a position, may be ahead of the word that explains it."""
MEMORY_MS = 3_600_000

Name = tuple[str, str]
"""A venue, and the id of something there."""


class FillHeard(NamedTuple):
    """Something was executed; source and offset are those of the word that says so."""

    fill: Fill
    source: str
    source_offset: int


class FillExplained(NamedTuple):
    """A fill is of an order of ours."""

    heard: FillHeard


class FillOfNobody(NamedTuple):
    """A person should look: no order of ours explains a fill."""

    fill: Fill


Effect = FillHeard | FillExplained | FillOfNobody


class FillBook:
    """Explains the fills of all venues by orders; a `domain.streams.records.Machine`."""

    version = 1

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        orders, explained, waiting, untold = snapshot or ((), (), (), ())
        # All in the order of their times.
        self._orders: OrderedDict[Name, int] = OrderedDict(orders)
        self._explained: OrderedDict[Name, int] = OrderedDict(explained)
        self._untold: OrderedDict[Name, int] = OrderedDict(untold)
        self._waiting: dict[Name, FillHeard] = {}
        # The fills that wait, by the order that would explain them.
        self._fills_of: dict[Name, list[Name]] = {}
        for line, source, offset in waiting:
            self._wait(FillHeard(Fill.model_validate_json(line), source, offset))

    def apply(self, at_ms: int, records: Sequence[Record[Any]]) -> Iterator[Effect]:
        """Take the words of an instant on fills and orders; yield each fill, and those that are explained now."""
        for memory in (self._orders, self._explained):
            _forget(memory, at_ms - MEMORY_MS)
        for _, source, offset, word in records:
            if isinstance(word, Fill):
                yield from self._hear(FillHeard(word, source, offset), at_ms)
            elif word.state != "refused":  # what was refused here never left, so nothing at the exchange is of it
                yield from self._know(word, at_ms)

    def wake_at_ms(self) -> int | None:
        """When the next fill will have waited for too long."""
        return next((since_ms + UNEXPLAINED_MS for since_ms in self._untold.values()), None)

    def wake(self, at_ms: int) -> Iterator[FillOfNobody]:
        """Tell of each fill that has waited for too long."""
        for name in _forget(self._untold, at_ms - UNEXPLAINED_MS + 1):
            yield FillOfNobody(self._waiting[name].fill)

    def gauges(self) -> dict[str, int]:
        """How many fills wait for a word on their order."""
        return {"fills_unexplained": len(self._waiting)}

    def snapshot(self) -> Snapshot:
        """What is remembered and what waits, as tuples."""
        waiting = [(one.fill.model_dump_json(), one.source, one.source_offset) for one in self._waiting.values()]
        return tuple(self._orders.items()), tuple(self._explained.items()), tuple(waiting), tuple(self._untold.items())

    def _hear(self, heard: FillHeard, at_ms: int) -> Iterator[Effect]:
        yield heard
        name = (heard.fill.venue, heard.fill.id)
        if name in self._waiting or name in self._explained:
            return
        if _order_of(heard.fill) in self._orders:
            self._explained[name] = at_ms
            yield FillExplained(heard)
        else:
            self._wait(heard)
            self._untold[name] = at_ms

    def _wait(self, heard: FillHeard) -> None:
        name = (heard.fill.venue, heard.fill.id)
        self._waiting[name] = heard
        self._fills_of.setdefault(_order_of(heard.fill), []).append(name)

    def _know(self, report: OrderReport, at_ms: int) -> Iterator[FillExplained]:
        order = (report.venue, report.client_order_id)
        self._orders[order] = at_ms
        self._orders.move_to_end(order)
        for name in self._fills_of.pop(order, ()):
            self._untold.pop(name, None)
            self._explained[name] = at_ms
            yield FillExplained(self._waiting.pop(name))


def _order_of(fill: Fill) -> Name:
    return fill.venue, fill.client_order_id


def _forget(memory: OrderedDict[Name, int], before_ms: int) -> Iterable[Name]:
    """Take out what is older, the oldest first, and return it."""
    names = []
    while memory and next(iter(memory.values())) < before_ms:
        names.append(memory.popitem(last=False)[0])
    return names
