"""Bars of a price history, read from the CSV files that exchanges give out and people save.

A file says in its first row which column is what, in the names of the large exchanges and whatever their case; a file
without such a row is read as time, open, high, low, close, as Binance and Kraken write theirs. Other columns are left alone.

A path is only played as it was if its rows are in the order of time: each bar has to be later than the one before, and all
times have one unit, seeing that 1640995200 is read as seconds, and a thousand, a million or a billion times that as
milliseconds, microseconds or nanoseconds. Every row that breaks this is named.
"""

import csv
import gzip
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TextIO

from domain.errors import ConfigError
from domain.times import BITCOIN_BEGAN_MS, LATEST_MS, ms_of

NAMES: Mapping[str, tuple[str, ...]] = {
    "time": ("timestamp", "time", "open_time", "open time", "unix", "ts", "datetime", "date"),
    "open": ("open", "o"),
    "high": ("high", "h"),
    "low": ("low", "l"),
    "close": ("close", "c"),
}
"""The columns, and how the files of Binance, Bitstamp, Coinbase, Kraken and OKX call them; earlier names win."""

WITHOUT_NAMES = (0, 1, 2, 3, 4)
WANTED = "timestamp,open,high,low,close,volume"
UNITS = {"seconds": 1_000, "milliseconds": 1, "microseconds": -1_000, "nanoseconds": -1_000_000}
"""What a number of each is multiplied by for milliseconds, or divided by if it is less than zero."""

_NUMBER = re.compile(r"[0-9]{1,20}(\.[0-9]{1,18})?")
_WHOLE = re.compile(r"[0-9]{1,20}")


class Bar(NamedTuple):
    """One bar of a price history: when it began in epoch milliseconds, and prices in dollars."""

    at_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def ticks(self) -> tuple[Decimal, ...]:
        """Return its four prices in a plausible order.

        A bar does not say in which order it saw them. It is played as the path that crosses its own ground least: a bar
        that closes higher went down first, one that closes lower went up first.
        """
        if self.close >= self.open:
            return self.open, self.low, self.high, self.close
        return self.open, self.high, self.low, self.close


class Gap(NamedTuple):
    """Time for which a history has no bars: after which of them, and for how long."""

    after_ms: int
    missing_ms: int


def read_bars(path: Path) -> Iterator[Bar]:
    """Yield the bars of a CSV file, plain or gzipped. Raises `ConfigError` that names file, line and what is wrong there."""
    line = 0
    try:
        with _opened(path) as text:
            columns: Sequence[int] = WITHOUT_NAMES
            unit, before_ms = None, -1
            for line, row in enumerate(csv.reader(text), start=1):
                named = columns_of(row) if line == 1 else None
                if named:
                    columns = named
                    continue
                unit = unit or _unit_of(row[columns[0]] if len(row) > columns[0] else "")
                bar = _bar(row, columns, unit)
                if bar.at_ms <= before_ms:
                    raise ValueError(_out_of_order(bar.at_ms, before_ms))
                before_ms = bar.at_ms
                yield bar
    except ValueError as error:
        msg = f"{path}, line {line}: {error}"
        raise ConfigError(msg) from error
    except (OSError, EOFError, zlib.error, csv.Error) as error:
        msg = f"{path}, after line {line}: {error}"
        raise ConfigError(msg) from error


def gaps(bars: Sequence[Bar]) -> list[Gap]:
    """Return where a history has no bars, though it has one every so often; the shortest step is taken for that."""
    steps = [after.at_ms - before.at_ms for before, after in pairwise(bars)]
    step_ms = min(steps, default=0)
    return [Gap(bar.at_ms, step - step_ms) for bar, step in zip(bars, steps, strict=False) if step > step_ms]


def columns_of(row: Sequence[str]) -> tuple[int, ...] | None:
    """Return where time, open, high, low and close stand, by the names in a first row; None if it has no such names."""
    found = [cell.strip().lower() for cell in row]
    places = [next((found.index(name) for name in names if name in found), None) for names in NAMES.values()]
    known = tuple(place for place in places if place is not None)
    return known if len(known) == len(NAMES) else None


def _opened(path: Path) -> TextIO:
    # A mark of the byte order, which spreadsheets put first, is left out.
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


def _bar(row: Sequence[str], columns: Sequence[int], unit: str) -> Bar:
    if len(row) <= max(columns):
        msg = f"not a bar of {WANTED}: {','.join(row)[:100]!r}"
        raise ValueError(msg)
    time, *cells = (row[column].strip() for column in columns)
    bar = Bar(_at_ms(time, unit), *(_price(cell) for cell in cells))
    if not 0 < bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high:
        msg = f"low, open, close and high do not fit each other: {','.join(row)[:100]!r}"
        raise ValueError(msg)
    return bar


def _price(cell: str) -> Decimal:
    if not _NUMBER.fullmatch(cell):
        msg = f"{cell[:40]!r} is not a price such as 42000.5"
        raise ValueError(msg)
    return Decimal(cell)


def _unit_of(time: str) -> str:
    """Return in which unit a number is a time that can be true, or that it is a date."""
    if not _WHOLE.fullmatch(time.strip()):
        return "dates"
    return next((unit for unit in UNITS if _is_true(_scaled(int(time), unit))), "milliseconds")


def _at_ms(time: str, unit: str) -> int:
    is_number = _WHOLE.fullmatch(time) is not None
    if is_number == (unit == "dates"):
        msg = f"the time {time[:40]!r} is not one of {unit}, as those before"
        raise ValueError(msg)
    at_ms = _scaled(int(time), unit) if is_number else _date_ms(time)
    if not _is_true(at_ms):
        msg = f"the time {time[:40]!r}, in {unit}, is none of a price of bitcoin"
        raise ValueError(msg)
    return at_ms


def _date_ms(time: str) -> int:
    at = datetime.fromisoformat(time)
    return ms_of(at if at.tzinfo else at.replace(tzinfo=UTC))


def _scaled(number: int, unit: str) -> int:
    factor = UNITS[unit]
    return number * factor if factor > 0 else number // -factor


def _is_true(at_ms: int) -> bool:
    return BITCOIN_BEGAN_MS <= at_ms <= LATEST_MS


def _out_of_order(at_ms: int, before_ms: int) -> str:
    if at_ms == before_ms:
        return "the time is that of the row before; leave one of the two out"
    return "the time is before that of the row before; sort the rows, oldest first"
