"""Matching: a function of two sets that puts every line and every entry into exactly one place."""

from collections.abc import Sequence
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.reconciling.items import Corrects, Entry, Line
from domain.reconciling.match import Matched, match
from domain.reconciling.rules import Rules
from domain.templates.transfer import transfer

HOUR = 3_600_000
DAY = 24 * HOUR
RULES = Rules()
LOOSE = Rules(tolerance=2, tolerance_ratio=Decimal("0.01"))

AMOUNTS = st.integers(-6, 6).filter(bool) | st.sampled_from([100, 101, 102, 300, 301, 1000])
TIMES = st.integers(0, 12).map(lambda n: n * 8 * HOUR)
NAMES = st.sampled_from(["", "", "", "a", "b"])


@st.composite
def line_sets(draw: st.DrawFn) -> list[Line]:
    """A few lines with amounts, times and references that are often the same."""
    told = draw(st.lists(st.tuples(TIMES, AMOUNTS, NAMES), max_size=9))
    return [Line(f"l{n}", *one) for n, one in enumerate(told)]


@st.composite
def entry_sets(draw: st.DrawFn) -> list[Entry]:
    """A few entries of the same kind, some of one matter, some taken back, some corrections."""
    told = draw(st.lists(st.tuples(TIMES, AMOUNTS, NAMES, st.sampled_from(["", "m", "n"])), max_size=9))
    entries = [
        Entry(f"e{n}", at, amount, "A", (name,) if name else (), matter) for n, (at, amount, name, matter) in enumerate(told)
    ]
    if entries and draw(st.booleans()):
        entries.append(Entry("back", 2 * DAY, -entries[0].amount, "A", (), "", entries[0].id))
    if draw(st.booleans()):
        entries.append(Entry("mend", DAY, 3, "A", corrects=Corrects("x", ("l0", "l9"), ("e1",))))
    return entries


def places(matched: Matched) -> list[str]:
    """The ids of all that is anywhere, as often as it is there."""
    taken = [*matched.matches, *matched.mismatches, *matched.ties]
    items = [item.id for one in taken for item in (*one.lines, *one.entries)]
    return sorted([*items, *(line.id for line in matched.lines), *(entry.id for entry in matched.entries)])


def shown(matched: Matched) -> list[tuple[str, str, str]]:
    """Rule, lines and entries of each match."""
    return sorted(
        (one.rule, " ".join(line.id for line in one.lines), " ".join(entry.id for entry in one.entries))
        for one in matched.matches
    )


@given(line_sets(), entry_sets(), st.sampled_from([RULES, LOOSE]))
def test_every_line_and_every_entry_is_in_exactly_one_place(lines: list[Line], entries: list[Entry], rules: Rules) -> None:
    """Matched, meant by each other and different, in a tie, or left."""
    assert sorted(item.id for item in (*lines, *entries)) == places(match(lines, entries, rules))


@given(line_sets(), entry_sets(), st.sampled_from([RULES, LOOSE]), st.data())
def test_the_order_of_what_is_given_changes_nothing(
    lines: list[Line], entries: list[Entry], rules: Rules, data: st.DataObject
) -> None:
    """The answer is a function of the two sets."""
    mixed = data.draw(st.permutations(lines)), data.draw(st.permutations(entries))
    assert match(lines, entries, rules) == match(*mixed, rules)


@given(line_sets(), entry_sets(), st.sampled_from([RULES, LOOSE]))
def test_what_is_matched_comes_to_the_same_within_the_tolerance(
    lines: list[Line], entries: list[Entry], rules: Rules
) -> None:
    """And its difference is told; only a correction of what is not compared meets nothing."""
    for one in match(lines, entries, rules).matches:
        told, booked = sum(line.amount for line in one.lines), sum(entry.amount for entry in one.entries)
        if one.rule != "correction" or one.lines:
            assert one.difference == told - booked
            assert abs(one.difference) <= rules.may_differ(told)


def lines(*told: tuple[int, int] | tuple[int, int, str]) -> list[Line]:
    """Lines by hour and amount, and reference."""
    return [Line(f"l{n}", one[0] * HOUR, *one[1:]) for n, one in enumerate(told)]  # type: ignore[arg-type]


def entries(*told: tuple[int, int] | tuple[int, int, str]) -> list[Entry]:
    """Entries by hour and amount, and the name that they are known by; what has a second one is of one matter."""
    return [Entry(f"e{n}", one[0] * HOUR, one[1], "A", tuple(one[2:])) for n, one in enumerate(told)]  # type: ignore[arg-type]


TABLE: dict[str, tuple[Sequence[Line], Sequence[Entry], Rules, list[tuple[str, str, str]]]] = {
    "a reference is surer than time": (
        lines((0, 5, "a"), (9, 5, "b")),
        entries((9, 5, "a"), (0, 5, "b")),
        RULES,
        [("reference", "l0", "e0"), ("reference", "l1", "e1")],
    ),
    "several under one reference that come to the same": (
        lines((0, 5, "a")),
        entries((0, 2, "a"), (1, 3, "a")),
        RULES,
        [("reference", "l0", "e0 e1")],
    ),
    "a name that stands for too much is left to amounts": (
        lines((0, 5, "a"), (30, 7, "a")),
        entries((0, 5, "a"), (60, 9, "a")),
        RULES,
        [("amount", "l0", "e0")],
    ),
    "the nearest in time": (
        lines((0, 5), (10, 5)),
        entries((1, 5), (11, 5)),
        RULES,
        [("amount", "l0", "e0"), ("amount", "l1", "e1")],
    ),
    "as many on both sides, whichever is which": (
        lines((0, 5), (0, 5)),
        entries((0, 5), (0, 5)),
        RULES,
        [("alike", "l0 l1", "e0 e1")],
    ),
    "two that could be it are a tie": (lines((4, 5), (4, 5)), entries((4, 5)), RULES, []),
    "beyond the window nothing": (lines((0, 5)), entries((25, 5)), RULES, []),
    "at the window": (lines((0, 5)), entries((24, 5)), RULES, [("amount", "l0", "e0")]),
    "within the tolerance": (lines((0, 1000)), entries((2, 1010)), LOOSE, [("tolerance", "l0", "e0")]),
    "beyond the tolerance": (lines((0, 1000)), entries((2, 1011)), LOOSE, []),
    "the better of two": (lines((0, 1000)), entries((2, 1009), (3, 1008)), LOOSE, [("tolerance", "l0", "e1")]),
    "two that are as good are a tie": (lines((0, 1000)), entries((2, 1008), (2, 992)), LOOSE, []),
    "no tolerance turns money round": (lines((0, 1)), entries((0, -1)), LOOSE, []),
    "one line for the entries of a day": (lines((20, 9)), entries((1, 2), (2, 7)), RULES, [("entries", "l0", "e0 e1")]),
    "one entry for the lines of a day": (lines((1, 2), (2, 7)), entries((20, 9)), RULES, [("lines", "l0 l1", "e0")]),
    "one line for some entries near it": (
        lines((25, 9)),
        entries((23, 2), (24, 7), (24, 50)),
        RULES,
        [("entries_searched", "l0", "e0 e1")],
    ),
    "two ways to come to it are a tie": (lines((25, 9)), entries((23, 2), (24, 7), (22, 4), (26, 5)), RULES, []),
    "what is taken back needs no line": (
        [],
        [Entry("e0", 0, 5), Entry("e1", 9, -5, reverses="e0")],
        RULES,
        [("taken_back", "", "e0 e1")],
    ),
    "a correction with what it corrects": (
        lines((0, 7)),
        [*entries((0, 5)), Entry("c", 99 * HOUR, 2, corrects=Corrects("b", ("l0",), ("e0",)))],
        RULES,
        [("correction", "l0", "e0 c")],
    ),
    "a correction that was taken back corrects nothing": (
        lines((0, 7)),
        [Entry("c", 0, 7, corrects=Corrects("b", ("l0",), ())), Entry("r", 1, -7, reverses="c")],
        RULES,
        [("taken_back", "", "c r")],
    ),
}


@pytest.mark.parametrize("case", TABLE)
def test_each_rule_takes_what_it_is_for(case: str) -> None:
    """By a table: what is matched, under which rule."""
    told, booked, rules, expected = TABLE[case]
    assert expected == shown(match(told, booked, rules))


def test_a_tie_names_all_that_could_be_it() -> None:
    """Both lines and the one entry, with a word on why."""
    (tie,) = match(lines((4, 5), (4, 5)), entries((4, 5)), RULES).ties
    assert (["l0", "l1"], ["e0"]) == ([line.id for line in tie.lines], [entry.id for entry in tie.entries])
    assert "2 lines and 1 entries" in tie.why


def test_one_name_and_two_amounts_are_a_contradiction() -> None:
    """It is told with what they differ by, and the entry is not looked for elsewhere."""
    matched = match(lines((0, 5, "a"), (0, 7)), entries((0, 7, "a")), RULES)
    (one,) = matched.mismatches
    assert (-2, ["l1"]) == (one.difference, [line.id for line in matched.lines])


def test_a_reference_may_be_the_key_of_a_posting() -> None:
    """The transaction of a posting is named by its key, and by nothing else of it."""
    at = {"effective_at_ms": 0, "source": "ledger.postings/0", "source_offset": 0}
    booked = transfer("rent 2026-01", "A", "B", "USD", 5, **at)  # type: ignore[arg-type]
    assert [("reference", "l0", booked.id)] == shown(
        match(lines((90, 5, "rent 2026-01")), [Entry(booked.id, 0, 5, "A", (booked.id,))], RULES)
    )


def test_more_than_are_looked_at_is_a_tie_and_not_a_guess() -> None:
    """Of a hundred entries that a line could be none is taken."""
    booked = [Entry(f"e{n:03}", n, 1001) for n in range(100)]
    matched = match(lines((0, 1000)), booked, LOOSE)
    assert (0, 1, 100) == (len(matched.matches), len(matched.ties), len(matched.entries))
