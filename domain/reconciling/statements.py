"""Reading a statement from a file, as CSV or as JSON: a statement, or what is wrong with it, where, and what to do.

JSON is the message of `recon.statements` as it is typed; CSV is `csv_lines.py`. Who loads it says whose account it is of, and
a file that says otherwise is refused.
"""

from codecs import BOM_UTF8
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError

from domain.messages.recon import Statement, StatementLine
from domain.reconciling.csv_lines import Row, Unreadable, read_rows


class Expected(NamedTuple):
    """What a statement has to be of."""

    source: str
    account: str
    currency: str


def read_statement(raw: bytes, expected: Expected) -> Statement | Unreadable:
    """Read a file; one that begins with a brace is JSON."""
    if raw.startswith(BOM_UTF8) or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Unreadable(1, "the file begins with a byte-order mark; save it as plain UTF-8, without one")
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        return Unreadable(raw.count(b"\n", 0, error.start) + 1, "this is not UTF-8; save the file as UTF-8")
    if text.lstrip().startswith("{"):
        return _of_json(text, expected)
    rows = read_rows(text, expected.currency)
    return rows if isinstance(rows, Unreadable) else _of_rows(rows, expected)


def _of_json(text: str, expected: Expected) -> Statement | Unreadable:
    try:
        told = Statement.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        why = first["msg"].removeprefix("Value error, ")
        return Unreadable(
            _line_of(first["loc"], text), f"{place + ': ' if place else ''}{why}; docs/reconciling.md shows the form"
        )
    for name, wanted in expected._asdict().items():
        if getattr(told, name) != wanted:
            return Unreadable(
                0, f"the statement says {name} {getattr(told, name)!r}, and it is loaded for {wanted!r}; load it for its own"
            )
    return told


def _line_of(place: Sequence[int | str], text: str) -> int:
    """Return the line of the file on which the named line of the statement begins, as far as files have one per line."""
    if len(place) < 2 or not isinstance(place[1], int):
        return 0
    starts = [n for n, line in enumerate(text.splitlines(), 1) for _ in range(line.count('"line_id"'))]
    return starts[place[1]] if place[1] < len(starts) else 0


def _of_rows(rows: Sequence[Row], expected: Expected) -> Statement | Unreadable:
    wrong = _misplaced(rows)
    if wrong is not None:
        return wrong
    opening, *lines, closing = rows
    told: list[StatementLine] = []
    for row in lines:
        try:
            told.append(_line(row))
        except ValidationError as error:
            return _unreadable(row, error)
    contradicts = _contradicting(rows)
    if contradicts is not None:
        return contradicts
    try:
        return Statement(
            statement_id=opening.id,
            **expected._asdict(),
            since=opening.at_ms,
            until=closing.at_ms,
            opening=opening.amount,
            closing=closing.amount,
            lines=tuple(told),
        )
    except ValidationError as error:
        return _unreadable(opening, error)


def _line(row: Row) -> StatementLine:
    return StatementLine(
        line_id=row.id, at=row.at_ms, amount=row.amount, reference=row.reference, description=row.description
    )


def _unreadable(row: Row, error: ValidationError) -> Unreadable:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return Unreadable(row.number, f"{place + ': ' if place else ''}{first['msg'].removeprefix('Value error, ')}")


def _misplaced(rows: Sequence[Row]) -> Unreadable | None:
    """Return which record stands where another has to."""
    if len(rows) < 2:
        return Unreadable(0, "a statement has a row for its opening and one for its closing balance; this has not both")
    for n, row in enumerate(rows):
        wanted = "opening" if n == 0 else "closing" if n == len(rows) - 1 else "line"
        if row.record != wanted:
            return Unreadable(
                row.number, f"the record is {row.record!r} where {wanted!r} has to be; opening is first, closing last"
            )
    if rows[0].id != rows[-1].id:
        return Unreadable(
            rows[-1].number, f"closing is of {rows[-1].id!r}, opening of {rows[0].id!r}; load one statement at a time"
        )
    return None


def _contradicting(rows: Sequence[Row]) -> Unreadable | None:
    """Return the first line that is there twice, is of another time, or that what follows does not add up."""
    opening, *lines, closing = rows
    numbers: dict[str, int] = {}
    for row in lines:
        if row.id in numbers:
            return Unreadable(row.number, f"the id {row.id!r} is that of line {numbers[row.id]}; take the duplicate out")
        if not opening.at_ms <= row.at_ms < closing.at_ms:
            return Unreadable(
                row.number, "this is not within the period that opening and closing name; load it with its own"
            )
        numbers[row.id] = row.number
    found = opening.amount + sum(row.amount for row in lines)
    if found != closing.amount:
        off = f"opening and lines come to {found} in minor units, closing says {closing.amount}"
        return Unreadable(closing.number, f"{off}; a line is missing or too many: export the statement again")
    return None
