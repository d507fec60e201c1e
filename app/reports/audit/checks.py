"""Checks: what has to hold, and the rows that say where it does not.

A check that finds nothing has passed only if there was something to look at. One that cannot be carried out, because a row
is of a kind that no ledger writes, has not passed either: what stopped it is its finding.
"""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from sinks.archive.parquet import Duck

AUDIT = Path(__file__).parents[3] / "sql" / "audit"
VIEWS = AUDIT / "views.sql"
FIGURES, PIECES = "-- figures: ", "-- pieces: "

ROWS_MAX = 10
"""How many of the rows that break a promise are told."""

BEFORE_ALL, LAST_BATCH = -(2**63), 2**63 - 1
"""What every number of a batch that there can be is above, and not above."""

PASS, BREACH, NOTHING, NOT_JUDGED = "pass", "breach", "nothing to check", "not judged"

Value = str | int | bool | None
Row = dict[str, Value]


class Finding(NamedTuple):
    """What became of a check: over how many things it was asked, how many rows break what `holds`, and the first of them.

    `why` says why it was not judged.
    """

    name: str
    holds: str
    verdict: str
    checked: int
    of: str
    breaches: int = 0
    rows: Sequence[Row] = ()
    why: str | None = None

    @property
    def invariant(self) -> str:
        """The promise that it is an aspect of, such as I4."""
        return self.name.split("_")[0]


class Check(NamedTuple):
    """A check by its name, which begins with its invariant; `ask` raises what DuckDB raises."""

    name: str
    holds: str
    of: str
    ask: Callable[[Duck], tuple[int, int, Sequence[Row]]]


def named_checks() -> list[Check]:
    """Return the checks that are SQL, in the order of their invariants."""
    return sorted((check_in(path) for path in AUDIT.glob("[IST][0-9]*.sql")), key=order)


def order(check: Check) -> tuple[str, int, str]:
    """Return what checks are sorted by."""
    return check.name[0], int(check.name[1:].split("_")[0]), check.name


def check_in(path: Path) -> Check:
    """Return the check that a file of SQL is."""
    query, _, figures = path.read_text(encoding="utf-8").partition(FIGURES)
    of, _, counted = figures.partition("\n")
    counting, _, pieces = counted.partition(PIECES)
    promise, _, _ = query.partition("\n-- A row is ")
    holds = promise.replace("\n-- ", " ").partition(": ")[2]
    return Check(path.stem, holds, of, lambda opened: _ask(opened, query, counting, pieces))


def _ask(opened: Duck, query: str, counting: str, pieces: str) -> tuple[int, int, Sequence[Row]]:
    counted = opened.execute(counting).fetchone()
    found = [_asked(opened, query, first + 1, last) for first, last in _pieces(opened, pieces.partition("\n")[2])]
    rows = [row for _, some in found for row in some]
    return int(counted[0]) if counted else 0, sum(breaches for breaches, _ in found), rows[:ROWS_MAX]


def _pieces(opened: Duck, query: str) -> Iterator[tuple[int, int]]:
    """Return after which batch each piece begins and with which it ends; a check that does not say so is asked in one.

    What is of a batch that is not there is in a piece, too.
    """
    ends = [last for (last,) in opened.execute(query).fetchall()[:-1]] if query else []
    return pairwise([BEFORE_ALL, *ends, LAST_BATCH])


def _asked(opened: Duck, query: str, first: int, last: int) -> tuple[int, Sequence[Row]]:
    opened.execute(f"SET VARIABLE first_batch = {first}")
    opened.execute(f"SET VARIABLE last_batch = {last}")
    asked = query.strip().rstrip(";")
    found = opened.execute(f"SELECT count(*) OVER () AS breaches, found.* FROM ({asked}\n) found LIMIT {ROWS_MAX}")  # noqa: S608
    names = [column[0] for column in found.description or ()][1:]
    rows = found.fetchall()
    return int(rows[0][0]) if rows else 0, [dict(zip(names, map(plain, row[1:]), strict=True)) for row in rows]


def plain(value: object) -> Value:
    """Return a value of DuckDB as JSON has it: amounts whole and exact, anything else that is no number as text."""
    match value:
        case None | bool() | int() | str():
            return value
        case Decimal():
            return int(value) if value == value.to_integral_value() else str(value)
        case _:
            return str(value)


def carry_out(check: Check, opened: Duck) -> Finding:
    """Ask a check, whatever comes of it."""
    try:
        checked, breaches, rows = check.ask(opened)
    except (duckdb.Error, ValueError, TypeError, KeyError) as error:
        said = " ".join(str(error).split())[:300]
        return Finding(check.name, check.holds, BREACH, 0, check.of, 1, [{"cannot_be_judged": said}])
    verdict = BREACH if breaches else PASS if checked else NOTHING
    return Finding(check.name, check.holds, verdict, checked, check.of, breaches, rows)


def rows_of(opened: Duck, query: str, size: int = 10_000, asked: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a query, some at a time; nothing else is asked meanwhile."""
    found = opened.execute(query, asked)
    while rows := found.fetchmany(size):
        yield from rows
