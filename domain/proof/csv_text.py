"""Lines of CSV as rows of cells, such that a damaged line damages no other.

A quoted cell may have line breaks in it, so a lost quotation mark would swallow the rest of a file. Here a record ends at
the first line where it has as many cells as its table has columns; if none of the next lines ends it, it is given as the
one line that it began with, and reading goes on after that.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from io import StringIO

LINES_MAX = 100
"""The lines that one record may have. Texts of the ledger have no line breaks, unless somebody puts them there."""

csv.field_size_limit(2**30)


def cells_of(lines: Iterable[str], columns: int) -> Iterator[list[str]]:
    """The records, each with so many cells; a line that is part of none comes as it is, with another number of cells."""
    source = iter(lines)
    ahead: deque[str] = deque()
    while (line := ahead.popleft() if ahead else next(source, None)) is not None:
        cells = _parsed(line)
        if cells is not None and len(cells) == columns:
            yield cells
        else:
            yield _longer(line, cells, source, ahead, columns)


def _parsed(text: str) -> list[str] | None:
    """None if the text ends within a quoted cell."""
    if '"' not in text:
        return text.removesuffix("\n").split(",")
    if text.endswith("\r"):
        return None  # which the reader would take for the end of a line
    try:
        return next(csv.reader((text,), strict=True), [])
    except csv.Error:
        return None


def _longer(line: str, cells: list[str] | None, source: Iterator[str], ahead: deque[str], columns: int) -> list[str]:
    """The record that begins with this line, taken from the lines ahead; or the line alone, and none of them."""
    text, taken = line, 0
    while cells is None and taken < LINES_MAX:
        if taken == len(ahead):
            following = next(source, None)
            if following is None:
                break
            ahead.append(following)
        text += ahead[taken]
        taken += 1
        cells = _joined(text)
    if cells is None or len(cells) != columns:
        return line.rstrip("\n").split(",")
    for _ in range(taken):
        ahead.popleft()
    return cells


def _joined(text: str) -> list[str] | None:
    try:
        return next(csv.reader(StringIO(text, newline=""), strict=True), [])
    except csv.Error:
        return None
