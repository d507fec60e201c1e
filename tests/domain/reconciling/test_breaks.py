"""Breaks: every difference is in transit, in a break, or within a tolerance, and nowhere else."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.messages.recon import Statement, StatementLine
from domain.reconciling.breaks import Evidence, Occasion, Outcome, changes, closed, compare, severity_of
from domain.reconciling.items import Corrects, Entry, Scope
from domain.reconciling.rules import BOUNDS, Rules
from tests.domain.reconciling.test_match import AMOUNTS, DAY, HOUR

SCOPE = Scope("bank:first", "CASH", "USD")
SINCE, UNTIL = 1_700_000_000_000, 1_700_000_000_000 + 10 * DAY
RULES = Rules()


def statement(
    *lines: tuple[int, int], opening: int = 0, since: int = SINCE, until: int = UNTIL, id_: str = "s"
) -> Statement:
    """A statement whose lines are at some milliseconds after its beginning."""
    told = tuple(StatementLine(line_id=f"{n}", at=since + at, amount=amount) for n, (at, amount) in enumerate(lines))
    closing = opening + sum(line.amount for line in told)
    named = {"statement_id": id_, "source": SCOPE.source, "account": SCOPE.account, "currency": SCOPE.currency}
    return Statement(**named, since=since, until=until, opening=opening, closing=closing, lines=told)


def entry(number: int, at: int, amount: int, corrects: Corrects | None = None) -> Entry:
    """An entry so many milliseconds after the beginning."""
    return Entry(f"e{number}", SINCE + at, amount, "CASH", corrects=corrects)


def compared(
    told: Statement, entries: list[Entry], *, rules: Rules = RULES, opening: int = 0, at: int = 30 * DAY
) -> Outcome:
    """Compare a statement with books that had `opening` before its time."""
    book = opening + sum(one.amount for one in entries if one.at_ms < told.until)
    return compare(SCOPE, Evidence([told], entries, book), rules, Occasion(SINCE + at, "test"))


def kinds(outcome: Outcome) -> list[tuple[str, int, str]]:
    """What the breaks are, what they come to, and how bad they are."""
    return sorted((one.kind, one.amount, one.severity) for one in outcome.exceptions)


MOMENTS = st.integers(-2 * 24, 12 * 24).map(lambda hours: hours * HOUR)
ENTRIES = st.lists(st.tuples(MOMENTS, AMOUNTS), max_size=8)
LINES = st.lists(st.tuples(st.integers(0, 239).map(lambda hours: hours * HOUR), AMOUNTS), max_size=8)


@given(LINES, ENTRIES, st.integers(-5, 5), st.integers(-5, 5), st.integers(0, 40), st.integers(0, 3))
def test_the_difference_is_all_in_breaks_and_within_tolerances(
    lines: list[tuple[int, int]], told: list[tuple[int, int]], opening: int, external: int, days: int, tolerance: int
) -> None:
    """Whatever is on either side, and whatever both had before."""
    rules = Rules(tolerance=tolerance, tolerance_ratio=Decimal("0.01"))
    entries = [entry(n, *one) for n, one in enumerate(told)]
    outcome = compared(statement(*lines, opening=external), entries, rules=rules, opening=opening, at=days * DAY)
    report = outcome.report
    assert report.difference == report.external + report.in_transit_amount - report.book
    assert abs(report.difference - report.breaks_amount - report.matched_amount) <= tolerance
    assert report.breaks == len(outcome.exceptions)
    assert (report.verdict == "agrees") is (not outcome.exceptions)


CASES: dict[str, tuple[Statement, list[Entry], int, list[tuple[str, int, str]]]] = {
    "all is the same": (statement((HOUR, 5)), [entry(0, 0, 5)], 30, []),
    "a line that no entry explains": (statement((0, 20_000)), [], 30, [("not_in_books", 20_000, "high")]),
    "a young line is in transit": (statement((9 * DAY, 20_000)), [], 9, []),
    "an entry that no line shows": (statement(), [entry(0, DAY, 50)], 30, [("not_on_statement", -50, "low")]),
    "an entry at the end is in transit": (statement(), [entry(0, 9 * DAY + HOUR, 50)], 99, []),
    "an entry at the limit is none": (statement(), [entry(0, 9 * DAY, 50)], 99, [("not_on_statement", -50, "low")]),
    "an entry after the end is of the next one": (statement(), [entry(0, 10 * DAY, 50)], 99, []),
    "an entry before the beginning may be a line": (statement((HOUR, 5)), [entry(0, -HOUR, 5)], 30, []),
    "an entry after the end may be a line": (statement((9 * DAY + 20 * HOUR, 5)), [entry(0, 10 * DAY, 5)], 30, []),
    "two that could be it": (statement((0, 5), (0, 5)), [entry(0, 0, 5)], 30, [("tie", 5, "low")]),
    "another opening balance": (statement(opening=200_000), [], 30, [("balance", 200_000, "critical")]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_left_is_in_transit_or_a_break(case: str) -> None:
    """By a table: kind, amount from the outside's side, and severity."""
    told, entries, days, expected = CASES[case]
    before = sum(one.amount for one in entries if one.at_ms < SINCE)
    outcome = compared(told, entries, at=days * DAY)
    if before:  # the outside had it not yet when its statement began
        assert outcome.report.book - before == told.opening + sum(one.amount for one in entries if one.at_ms >= SINCE)
    assert expected == kinds(outcome)


@pytest.mark.parametrize("case", [name for name, (*_, expected) in CASES.items() if expected])
def test_a_correction_closes_its_break(case: str) -> None:
    """Of what the break comes to, with what was in it; the break is told as closed then."""
    told, entries, days, _ = CASES[case]
    before = compared(told, entries, at=days * DAY)
    (broken,) = before.exceptions
    mends = Corrects(broken.break_id, broken.line_ids, broken.transaction_ids)
    mended = compared(told, [*entries, entry(9, 5 * DAY, broken.amount, mends)], at=days * DAY)
    assert [] == kinds(mended)
    assert 0 == mended.report.difference - mended.report.matched_amount
    (told_last,) = changes({broken.break_id: broken}, mended.exceptions, mended.report)
    assert ("closed", broken.break_id) == (told_last.state, told_last.break_id)


def test_a_correction_of_a_part_leaves_the_rest_of_the_same_break() -> None:
    """It has the id that it had, so that it is not told as another one."""
    told = statement((0, 20_000))
    (broken,) = compared(told, []).exceptions
    mends = Corrects(broken.break_id, broken.line_ids, broken.transaction_ids)
    (left,) = compared(told, [entry(9, DAY, 15_000, mends)]).exceptions
    assert (broken.break_id, "amount", 5_000) == (left.break_id, left.kind, left.amount)


def test_what_is_told_once_is_told_again_when_it_changes() -> None:
    """Older alone is no change; a break that is gone is closed."""
    first = compared(statement((0, 20_000)), [], at=30 * DAY)
    later = compared(statement((0, 20_000)), [], at=31 * DAY)
    known = {one.break_id: one for one in first.exceptions}
    assert list(first.exceptions) == changes({}, first.exceptions, first.report)
    assert [] == changes(known, later.exceptions, later.report)
    (gone,) = changes(known, [], later.report)
    assert gone == closed(first.exceptions[0], later.report)
    assert (31 * 86_400, later.report.report_id) == (gone.age_seconds, gone.report_id)


def test_the_same_comparison_has_the_same_id_and_another_occasion_another() -> None:
    """So that what is made again is known as made."""
    one, again, later = (compared(statement(), [], at=days * DAY) for days in (30, 30, 31))
    assert one == again
    assert one.report.report_id != later.report.report_id


SEVERITIES = [(999, "1000", None), (1000, "1000", None), (1001, "1000", "medium"), (-10_100, "10000", "high")]
BOUNDARIES = [(50, "low"), (100, "low"), (101, "medium"), (10_000, "medium"), (10_001, "high"), (100_000, "high")]


@pytest.mark.parametrize(("cents", "expected"), [*BOUNDARIES, (100_001, "critical"), (-100_001, "critical"), (0, "low")])
def test_a_bound_is_still_within_what_it_bounds(cents: int, expected: str) -> None:
    """One dollar is low, a hundred medium, a thousand high."""
    assert expected == RULES.severity(cents, "USD")


@pytest.mark.parametrize(("cents", "tolerance", "expected"), SEVERITIES)
def test_a_total_within_the_tolerance_is_no_difference(cents: int, tolerance: str, expected: str | None) -> None:
    """Exactly the tolerance passes."""
    assert expected == severity_of(cents, int(tolerance), BOUNDS["USD"])


def test_a_currency_without_bounds_is_as_bad_as_can_be() -> None:
    """Nobody has said what little of it is."""
    assert "critical" == RULES.severity(1, "XAU")
