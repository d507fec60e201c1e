"""A statement as CSV: one row for the opening balance, one per line, one for the closing balance.

    record,id,at,currency,amount,reference,description
    opening,first-2026-01-31,2026-01-31T00:00:00Z,USD,100.00,,
    line,1,2026-01-31T09:00:00Z,USD,20.00,deposit 7,
    line,2,2026-01-31T12:00:00Z,USD,-5.00,,fee
    closing,first-2026-01-31,2026-02-01T00:00:00Z,USD,115.00,,

Amounts are in whole dollars or bitcoins with a point before the fraction, and positive when they make the account larger.
Nothing is guessed: what could be read in two ways is refused with its line and with what to do about it.
"""

import csv
import re
from collections.abc import Iterator, Sequence
from io import StringIO
from typing import NamedTuple

from domain.money import DECIMALS
from domain.times import parse_ms

HEADER = ("record", "id", "at", "currency", "amount", "reference", "description")
_PLAIN = re.compile(r"-?[0-9]{1,30}(\.[0-9]{1,18})?")
_SEPARATED = re.compile(r"-?[0-9]{1,3}([,.' _\u00a0\u202f][0-9]{3})+([.,][0-9]+)?")
_COMMA = re.compile(r"-?[0-9]+,[0-9]+")


class Unreadable(NamedTuple):
    """Why a statement cannot be read: the line of the file, 0 for all of it, and what is wrong with what to do."""

    line: int
    said: str


class Row(NamedTuple):
    """A row of the file, as it was read; the amount is in minor units."""

    number: int
    record: str
    id: str
    at_ms: int
    amount: int
    reference: str
    description: str


def read_rows(text: str, currency: str) -> list[Row] | Unreadable:
    """Return the rows of a file whose amounts are in a currency, or the first thing that is wrong."""
    if currency not in DECIMALS:
        known = " and ".join(sorted(DECIMALS))
        return Unreadable(
            0, f"how many digits {currency} has is not known, as of {known} it is; load it as JSON in minor units"
        )
    reader = csv.reader(StringIO(text, newline=""), strict=True)
    rows: list[Row] = []
    try:
        wrong = _wrong_header(next(reader, []))
        if wrong is not None:
            return Unreadable(1, wrong)
        for cells in reader:
            row = _row(cells, reader.line_num, currency)
            if isinstance(row, Unreadable):
                return row
            rows.append(row)
    except csv.Error as error:
        return Unreadable(reader.line_num, f"this is no CSV ({error}); a quote within a text is written twice")
    return rows


def _wrong_header(cells: Sequence[str]) -> str | None:
    """Return what is wrong with a header: which column is new, missing or moved."""
    if tuple(cells) == HEADER:
        return None
    told = [
        *(f"{name!r} is new" for name in cells if name not in HEADER),
        *(f"{name!r} is missing" for name in HEADER if name not in cells),
        *_moved(cells),
    ]
    return f"the header is another one: {', '.join(told)}; it has to be {','.join(HEADER)}"


def _moved(cells: Sequence[str]) -> Iterator[str]:
    known = [name for name in cells if name in HEADER]
    there = [name for name in HEADER if name in cells]
    for name, expected in zip(known, there, strict=False):
        if name != expected:
            yield f"{name!r} has moved or stands twice"
            return
    if len(known) > len(there):
        yield f"{known[len(there)]!r} stands twice"


def _row(cells: Sequence[str], number: int, currency: str) -> Row | Unreadable:
    if len(cells) != len(HEADER):
        way = "put quotes around a text with a comma in it, and take out empty lines"
        return Unreadable(number, f"there are {len(cells)} cells where the header has {len(HEADER)}; {way}")
    record, id_, at, told_currency, amount, reference, description = cells
    if told_currency != currency:
        return Unreadable(
            number, f"the currency is {told_currency!r}, and the account has {currency}; load it for its own account"
        )
    minor = minor_units(amount, currency)
    if isinstance(minor, str):
        return Unreadable(number, minor)
    try:
        at_ms = parse_ms(at)
    except ValueError as error:
        return Unreadable(number, str(error))
    return Row(number, record, id_, at_ms, minor, reference, description)


def minor_units(text: str, currency: str) -> int | str:
    """Return an amount in minor units, or what is wrong with how it is written."""
    places = DECIMALS[currency]
    if not _PLAIN.fullmatch(text):
        return f"the amount {text!r} {_why_not_plain(text)}; write it as 1234.56"
    fraction = text.partition(".")[2].rstrip("0")
    if len(fraction) > places:
        return (
            f"the amount {text!r} has more than the {places} digits of {currency} behind the point; nothing is rounded here"
        )
    return int(text.partition(".")[0] + fraction.ljust(places, "0"))


def _why_not_plain(text: str) -> str:
    if _COMMA.fullmatch(text) and not _SEPARATED.fullmatch(text):
        return "has a comma for a point"
    if _SEPARATED.fullmatch(text):
        return "has separators of thousands"
    return "is no plain decimal" if text else "is missing"
