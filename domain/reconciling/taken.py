"""What a pass takes out of what is left: a match with its evidence, a contradiction, or a tie that is told and not guessed."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from domain.ids import content_id
from domain.reconciling.items import Entry, Line
from domain.reconciling.rules import Rules

K = TypeVar("K", bound=Hashable)
T = TypeVar("T", Line, Entry)


class Match(NamedTuple):
    """Lines that are these entries, by a rule; `difference` is what the lines have more, within the tolerance."""

    rule: str
    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    difference: int

    @property
    def id(self) -> str:
        """The same items under the same rule are the same match."""
        return content_id("match", self.rule, *ids(self.lines), "", *ids(self.entries))

    @property
    def apart_ms(self) -> int:
        """How far the earliest and the latest of it are apart."""
        times = [line.at_ms for line in self.lines] + [entry.at_ms for entry in self.entries]
        return max(times) - min(times)


class Mismatch(NamedTuple):
    """Lines that are meant by these entries, and do not come to the same."""

    rule: str
    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    difference: int


class Tie(NamedTuple):
    """Lines and entries of which nothing says which belong together."""

    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]
    why: str


Taken = Match | Mismatch | Tie


class Left(NamedTuple):
    """What no pass has taken yet, each side in the order of time and id."""

    lines: Sequence[Line]
    entries: Sequence[Entry]

    def without(self, taken: Iterable[Taken]) -> "Left":
        """Return what is left after a pass."""
        found = list(taken)
        lines = {line.id for one in found for line in one.lines}
        entries = {entry.id for one in found for entry in one.entries}
        return Left(
            [line for line in self.lines if line.id not in lines], [one for one in self.entries if one.id not in entries]
        )


def ids(items: Iterable[Line | Entry]) -> list[str]:
    """Return the ids of items, in order."""
    return sorted(item.id for item in items)


def place(item: Line | Entry) -> tuple[int, str]:
    """Return what items are ordered by."""
    return item.at_ms, item.id


def total(items: Iterable[Line | Entry]) -> int:
    """Return what items come to."""
    return sum(item.amount for item in items)


def by_key(items: Iterable[T], key: Callable[[T], K]) -> dict[K, list[T]]:
    """Return the items by a key, each list in their order."""
    found: dict[K, list[T]] = defaultdict(list)
    for item in items:
        found[key(item)].append(item)
    return found


def compared(rule: str, lines: Sequence[Line], entries: Sequence[Entry], rules: Rules) -> Match | Mismatch:
    """Return a match if both sides come to the same as far as they have to, and else that they do not."""
    difference = total(lines) - total(entries)
    made = Match if abs(difference) <= rules.may_differ(total(lines)) else Mismatch
    return made(rule, tuple(lines), tuple(entries), difference)


def taken_back(left: Left, is_meant: Callable[[Entry], bool]) -> Iterator[Match]:
    """Take entries of a kind together with those that take them back, where they come to nothing."""
    known = {entry.id: entry for entry in left.entries}
    for entry in left.entries:
        original = known.get(entry.reverses or "")
        if original is not None and is_meant(original) and original.amount + entry.amount == 0:
            yield Match("taken_back", (), (original, entry), 0)


class Proposal(NamedTuple):
    """Lines that may be these entries."""

    lines: tuple[Line, ...]
    entries: tuple[Entry, ...]

    @property
    def names(self) -> list[tuple[str, str]]:
        """The names of all that is in it."""
        return [*(("line", line.id) for line in self.lines), *(("entry", entry.id) for entry in self.entries)]


def settled(proposals: Sequence[Proposal], rule: str, why: str) -> Iterator[Match | Tie]:
    """Yield a match for each proposal that shares nothing with another one, and a tie of those that do."""
    for group in _components(proposals):
        lines = {line.id: line for one in group for line in one.lines}
        entries = {entry.id: entry for one in group for entry in one.entries}
        told, booked = tuple(sorted(lines.values(), key=place)), tuple(sorted(entries.values(), key=place))
        yield Match(rule, told, booked, total(told) - total(booked)) if len(group) == 1 else Tie(told, booked, why)


def _components(proposals: Sequence[Proposal]) -> Iterable[list[Proposal]]:
    """Return the proposals that hang together by what they share."""
    above: dict[tuple[str, str], tuple[str, str]] = {}

    def root(name: tuple[str, str]) -> tuple[str, str]:
        while (up := above.setdefault(name, name)) != name:
            above[name] = above[up]
            name = up
        return name

    for one in proposals:
        first, *others = one.names
        for name in others:
            above[root(name)] = root(first)
    groups: dict[tuple[str, str], list[Proposal]] = defaultdict(list)
    for one in proposals:
        groups[root(one.names[0])].append(one)
    return groups.values()
