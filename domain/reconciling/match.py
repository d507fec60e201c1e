"""Lines matched with entries, by passes from the surest to the least sure; each takes what it is sure of and leaves the rest.

| pass | what it takes |
|---|---|
| correction | what a correction was posted for, with the correction |
| reference | lines and entries under one name, when they come to the same within the tolerance |
| amount | the same amount, each the nearest of the other in time |
| alike | as many lines as entries of the same amount, none nearer than another: these are those, whichever is which |
| tolerance | amounts that differ no more than they may, each the best of the other |
| entries, lines | one line for several entries, one entry for several lines; `…_searched` where nothing joins them but the sum |
| taken_back | entries that take each other back, which no statement has to show |

What could be two things equally well is a *tie*: it is told as that, and never guessed. The answer is a function of the two
sets: nothing depends on the order in which they are given. Each pass sorts and looks up, and looks at a bounded number of
neighbours of an item in a bounded number of rounds, so the cost grows with the number of items and not with its square.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from domain.reconciling.groups import entries_in_common, entries_searched, lines_in_common, lines_searched
from domain.reconciling.items import Entry, Line
from domain.reconciling.nearest import of_one_amount, within_tolerance
from domain.reconciling.rules import Rules
from domain.reconciling.taken import Left, Match, Mismatch, Taken, Tie, by_key, compared, place, taken_back

T = TypeVar("T", Line, Entry)


class Matched(NamedTuple):
    """Where every line and every entry is: in exactly one of these."""

    matches: Sequence[Match]
    mismatches: Sequence[Mismatch]
    ties: Sequence[Tie]
    lines: Sequence[Line]
    entries: Sequence[Entry]


def match(lines: Iterable[Line], entries: Iterable[Entry], rules: Rules) -> Matched:
    """Match lines with entries; ids are unique among lines, and among entries."""
    left = Left(sorted(lines, key=place), sorted(entries, key=place))
    taken: list[Taken] = []
    for one in PASSES:
        found = list(one(left, rules))
        taken += found
        left = left.without(found)
    return Matched(
        [one for one in taken if isinstance(one, Match)],
        [one for one in taken if isinstance(one, Mismatch)],
        [one for one in taken if isinstance(one, Tie)],
        left.lines,
        left.entries,
    )


def corrections_taken_back(left: Left, _rules: Rules) -> Iterator[Taken]:
    """Take corrections that were reversed: they correct nothing any more."""
    return taken_back(left, lambda entry: entry.corrects is not None)


def corrections(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take what was in a break with all that was posted for it. What corrects a balance, or what is no longer compared, explains
    itself: it meets nothing here."""
    lines, entries = {line.id: line for line in left.lines}, {entry.id: entry for entry in left.entries}
    posted = [entry for entry in left.entries if entry.corrects is not None]
    for group in by_key(posted, lambda entry: entry.corrects and entry.corrects.break_id).values():
        named = [entry.corrects for entry in group if entry.corrects is not None]
        told = _taken(lines, (id_ for one in named for id_ in one.line_ids))
        booked = [*_taken(entries, (id_ for one in named for id_ in one.transaction_ids)), *group]
        is_alone = len(booked) == len(group) and not told
        yield Match("correction", (), tuple(booked), 0) if is_alone else compared("correction", told, booked, rules)


def _taken(known: dict[str, T], wanted: Iterable[str]) -> list[T]:
    return [known.pop(id_) for id_ in sorted(set(wanted)) if id_ in known]


def references(left: Left, rules: Rules) -> Iterator[Taken]:
    """Take what has one name on both sides, the rarest names first.

    One line and one entry that do not come to the same are a break. Several may have a name that stands for too much, so
    they are left to what comes after.
    """
    named, gone = _named(left.entries), set[str]()
    groups = by_key([line for line in left.lines if line.reference], lambda line: line.names).items()
    meant = [(_of_names(names, named), names, lines) for names, lines in groups]
    for entries, _, lines in sorted(meant, key=lambda one: (len(one[0]), one[1])):
        free = [entry for entry in entries if entry.id not in gone]
        found = compared("reference", lines, free, rules)
        if free and (isinstance(found, Match) or len(lines) == len(free) == 1):
            gone |= {entry.id for entry in free}
            yield found


def _named(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        for name in dict.fromkeys(entry.references):
            found[name].append(entry)
    return found


def _of_names(names: Iterable[str], named: Mapping[str, Sequence[Entry]]) -> list[Entry]:
    found = {entry.id: entry for name in names for entry in named.get(name, ())}
    return sorted(found.values(), key=place)


def all_taken_back(left: Left, _rules: Rules) -> Iterator[Taken]:
    """Take entries that come to nothing together."""
    return taken_back(left, lambda _: True)


PASSES: tuple[Callable[[Left, Rules], Iterable[Taken]], ...] = (
    corrections_taken_back,
    corrections,
    references,
    of_one_amount,
    within_tolerance,
    entries_in_common,
    lines_in_common,
    entries_searched,
    lines_searched,
    all_taken_back,
)
