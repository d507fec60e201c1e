"""One line for one entry by amount and time: of the same amount first, then of amounts that differ no more than they may.

Two are matched when each is the best of the other: the smallest difference of amounts, then the nearest in time, and no other
as good. What is matched may make room for others, so it goes on in rounds. What is left then with somebody as good beside it is a
tie.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from domain.reconciling.items import Entry, Line
from domain.reconciling.rules import Rules
from domain.reconciling.taken import Left, Match, Proposal, Taken, Tie, by_key, place, settled

CANDIDATES_MAX = 64
"""Where more entries than so many have about the amount of a line at about its time, they are not looked at: it is a tie."""

ROUNDS_MAX = 8
"""More rounds than two or three are for amounts that repeat like a clock; what is left then is a tie."""

T = TypeVar("T", Line, Entry)


# The same amount ------------------------------------------------------------------------------------------------------------


def of_one_amount(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take lines and entries of the same amount within the window."""
    entries = by_key(left.entries, lambda entry: entry.amount)
    for amount, lines in sorted(by_key(left.lines, lambda line: line.amount).items()):
        if amount in entries:
            yield from _of_one_amount(lines, entries[amount], rules.window_ms)


def _of_one_amount(lines: list[Line], entries: list[Entry], window_ms: int) -> Iterator[Taken]:
    for _ in range(ROUNDS_MAX):
        pairs = _nearest_pairs(lines, entries, window_ms)
        if not pairs:
            break
        yield from (Match("amount", (line,), (entry,), 0) for line, entry in pairs)
        lines, entries = _without(lines, [line for line, _ in pairs]), _without(entries, [entry for _, entry in pairs])
    yield from (_alike(told, booked) for told, booked in _chains(lines, entries, window_ms) if told and booked)


def _without(items: Sequence[T], taken: Iterable[T]) -> list[T]:
    gone = {item.id for item in taken}
    return [item for item in items if item.id not in gone]


def _nearest_pairs(lines: Sequence[Line], entries: Sequence[Entry], window_ms: int) -> list[tuple[Line, Entry]]:
    of_lines, of_entries = [line.at_ms for line in lines], [entry.at_ms for entry in entries]
    pairs = []
    for line in lines:
        entry = _nearest(line.at_ms, entries, of_entries, window_ms)
        if entry is not None and _nearest(entry.at_ms, lines, of_lines, window_ms) is line:
            pairs.append((line, entry))
    return pairs


def _nearest(at_ms: int, items: Sequence[T], times: Sequence[int], window_ms: int) -> T | None:
    """Return the item nearest in time, None when there is none in the window, or another one is as near."""
    place_of = bisect_left(times, at_ms)
    near = sorted((abs(times[n] - at_ms), n) for n in range(max(0, place_of - 2), min(len(times), place_of + 2)))
    if not near or near[0][0] > window_ms or (len(near) > 1 and near[0][0] == near[1][0]):
        return None
    return items[near[0][1]]


def _chains(
    lines: Sequence[Line], entries: Sequence[Entry], window_ms: int
) -> Iterator[tuple[Sequence[Line], Sequence[Entry]]]:
    """Yield what is joined by steps in time that are no longer than the window."""
    told: list[Line] = []
    booked: list[Entry] = []
    last_ms: int | None = None
    items: list[Line | Entry] = [*lines, *entries]
    for item in sorted(items, key=place):
        if last_ms is not None and item.at_ms - last_ms > window_ms:
            yield told, booked
            told, booked = [], []
        if isinstance(item, Line):
            told.append(item)
        else:
            booked.append(item)
        last_ms = item.at_ms
    yield told, booked


def _alike(lines: Sequence[Line], entries: Sequence[Entry]) -> Match | Tie:
    if len(lines) == len(entries):
        return Match("alike", tuple(lines), tuple(entries), 0)
    why = f"of {len(lines)} lines and {len(entries)} entries of the same amount none is nearer to one than to another"
    return Tie(tuple(lines), tuple(entries), why)


# Amounts within the tolerance -----------------------------------------------------------------------------------------------


class Edge(NamedTuple):
    """How well a line and an entry go together: the less the better."""

    differ: int
    apart_ms: int
    line: Line
    entry: Entry

    @property
    def score(self) -> tuple[int, int]:
        """What is compared."""
        return self.differ, self.apart_ms


def within_tolerance(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take lines and entries of about the same amount within the window."""
    if not (rules.tolerance or rules.tolerance_ratio):
        return
    edges: list[Edge] = []
    shelves = _Shelves(left.entries, rules)
    for line in left.lines:
        near = shelves.near(line)
        if near is None:
            yield Tie((line,), (), f"more than {CANDIDATES_MAX} entries could be it, and so many are not looked at")
        else:
            edges += near
    yield from _best_pairs(edges)


class _Shelves:
    """Entries by the window of time that they are in, each window in the order of amounts."""

    def __init__(self, entries: Sequence[Entry], rules: Rules) -> None:
        self._rules = rules
        self._by_window = by_key(sorted(entries, key=lambda one: (one.amount, *place(one))), self._window)
        self._amounts = {window: [one.amount for one in shelf] for window, shelf in self._by_window.items()}

    def _window(self, item: Line | Entry) -> int:
        return item.at_ms // self._rules.window_ms

    def near(self, line: Line) -> list[Edge] | None:
        """Return the entries that a line may be, None where they are too many to be looked at."""
        may = self._rules.may_differ(line.amount)
        found: list[Edge] = []
        for window in range(self._window(line) - 1, self._window(line) + 2):
            amounts = self._amounts.get(window, [])
            low, high = bisect_left(amounts, line.amount - may), bisect_right(amounts, line.amount + may)
            if len(found) + high - low > CANDIDATES_MAX:
                return None
            found += [self._edge(line, entry) for entry in self._by_window[window][low:high]] if amounts else []
        return [edge for edge in found if edge.apart_ms <= self._rules.window_ms and _is_one_way(edge)]

    def _edge(self, line: Line, entry: Entry) -> Edge:
        return Edge(abs(entry.amount - line.amount), abs(entry.at_ms - line.at_ms), line, entry)


def _is_one_way(edge: Edge) -> bool:
    return (edge.line.amount > 0) is (edge.entry.amount > 0)


def _best_pairs(edges: list[Edge]) -> Iterator[Taken]:
    for _ in range(ROUNDS_MAX):
        of_lines, of_entries = _best(edges, lambda edge: edge.line.id), _best(edges, lambda edge: edge.entry.id)
        pairs = [edge for edge in of_lines.values() if edge and of_entries[edge.entry.id] is edge]
        if not pairs:
            break
        yield from (Match("tolerance", (one.line,), (one.entry,), one.line.amount - one.entry.amount) for one in pairs)
        lines, entries = {one.line.id for one in pairs}, {one.entry.id for one in pairs}
        edges = [edge for edge in edges if edge.line.id not in lines and edge.entry.id not in entries]
    left = [Proposal((edge.line,), (edge.entry,)) for edge in sorted(edges, key=_order)]
    yield from settled(left, "tolerance", "amounts within the tolerance, and none nearer to one than to another")


def _order(edge: Edge) -> tuple[tuple[int, str], tuple[int, str]]:
    return place(edge.line), place(edge.entry)


def _best(edges: Iterable[Edge], key: Callable[[Edge], str]) -> Mapping[str, Edge | None]:
    """Return the best edge by a key; None where two are as good."""
    found: dict[str, list[Edge]] = defaultdict(list)
    for edge in edges:
        known = found[key(edge)]
        if not known or edge.score < known[0].score:
            found[key(edge)] = [edge]
        elif edge.score == known[0].score:
            known.append(edge)
    return {name: known[0] if len(known) == 1 else None for name, known in found.items()}
