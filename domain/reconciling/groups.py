"""One line for several entries, and one entry for several lines.

First by what groups have in common: entries of one matter, lines under one reference, and all of a day in one direction. What
is left is searched, as far as it is little: at most `SEARCHED_MAX` on either side, each among at most `NEIGHBOURS_MAX` within the
window, for two to `PARTS_MAX` that come to exactly the same. More is not searched, and stays as it is.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations
from typing import TypeVar

from domain.reconciling.items import Entry, Line
from domain.reconciling.rules import Rules
from domain.reconciling.taken import Left, Proposal, Taken, place, settled, total
from domain.times import DAY_MS

LOOKED_AT_MAX = 64
SEARCHED_MAX = 500
NEIGHBOURS_MAX = 12
PARTS_MAX = 4
WHY = "several groups come to the same, and nothing says which it is"

One = TypeVar("One", Line, Entry)
Many = TypeVar("Many", Line, Entry)
Group = tuple[int, tuple[Many, ...]]


def entries_in_common(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take lines that are several entries of one matter, or of one day."""
    groups = _groups(left.entries, lambda entry: entry.matter)
    proposals = [Proposal((line,), group) for line in left.lines for group in _fitting(line, groups, rules)]
    return settled(proposals, "entries", WHY)


def lines_in_common(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take entries that are several lines under one reference, or of one day."""
    groups = _groups(left.lines, lambda line: line.reference)
    proposals = [Proposal(group, (entry,)) for entry in left.entries for group in _fitting(entry, groups, rules)]
    return settled(proposals, "lines", WHY)


def entries_searched(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take lines that some entries near them come to."""
    found = _searched(left.lines, left.entries, rules.window_ms)
    return settled([Proposal((line,), parts) for line, parts in found], "entries_searched", WHY)


def lines_searched(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take entries that some lines near them come to."""
    found = _searched(left.entries, left.lines, rules.window_ms)
    return settled([Proposal(parts, (entry,)) for entry, parts in found], "lines_searched", WHY)


def _groups(items: Sequence[Many], name: Callable[[Many], str]) -> list[Group[Many]]:
    """Return what items have in common, with what it comes to, in that order; each group once."""
    found: dict[tuple[str, str], list[Many]] = defaultdict(list)
    for item in items:
        found["day", f"{item.at_ms // DAY_MS} {item.amount > 0}"].append(item)
        if name(item):
            found["name", name(item)].append(item)
    groups = {tuple([one.id for one in group]): tuple(group) for group in found.values() if len(group) > 1}
    return sorted(((total(group), group) for group in groups.values()), key=lambda one: (one[0], place(one[1][0])))


def _fitting(one: Line | Entry, groups: Sequence[Group[Many]], rules: Rules) -> Iterator[tuple[Many, ...]]:
    """Yield the groups that come to the same as one item, within tolerance and window."""
    may = rules.may_differ(one.amount)
    low = bisect_left(groups, one.amount - may, key=lambda group: group[0])
    high = bisect_right(groups, one.amount + may, key=lambda group: group[0])
    for _, group in groups[low : min(high, low + LOOKED_AT_MAX)]:
        if all(abs(item.at_ms - one.at_ms) <= rules.window_ms for item in (group[0], group[-1])):
            yield group


def _searched(ones: Sequence[One], many: Sequence[Many], window_ms: int) -> Iterator[tuple[One, tuple[Many, ...]]]:
    if len(ones) > SEARCHED_MAX or len(many) > SEARCHED_MAX:
        return
    times = [item.at_ms for item in many]
    for one in ones:
        near = many[bisect_left(times, one.at_ms - window_ms) : bisect_right(times, one.at_ms + window_ms)]
        parts = [item for item in near if (item.amount > 0) is (one.amount > 0) and abs(item.amount) < abs(one.amount)]
        if len(parts) <= NEIGHBOURS_MAX:
            yield from ((one, group) for group in _coming_to(one.amount, parts))


def _coming_to(amount: int, parts: Sequence[Many]) -> Iterable[tuple[Many, ...]]:
    return [group for size in range(2, PARTS_MAX + 1) for group in combinations(parts, size) if total(group) == amount]
