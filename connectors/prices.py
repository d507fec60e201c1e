"""Price paths: recorded bars from a CSV file, or a seeded random walk, both as plain iterators of exact decimals.

A bar says where the price opened and closed and how far it went, and not in which order. It is played as the path that
crosses its own ground least: a bar that closes higher went down first, one that closes lower went up first.
"""

import csv
import gzip
import zlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple, TextIO

from domain.errors import ConfigError

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
TICKS_PER_BAR = 4
_PPM = 1_000_000


class Bar(NamedTuple):
    """One bar of a price history, in dollars."""

    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal

    def ticks(self) -> tuple[Decimal, ...]:
        """Its four prices in a plausible order."""
        if self.close >= self.open:
            return self.open, self.low, self.high, self.close
        return self.open, self.high, self.low, self.close


def read_bars(path: Path) -> Iterator[Bar]:
    """The bars of a CSV file, plain or gzipped. Raises `ConfigError` that names file and line of the first bad row."""
    line = 0
    try:
        with _opened(path) as text:
            for line, row in enumerate(csv.reader(text), start=1):
                bar = _bar(row)
                if bar:
                    yield bar
                elif line > 1 or tuple(row) != COLUMNS:
                    msg = f"{path}, line {line}: not a bar of {','.join(COLUMNS)}: {','.join(row)[:100]!r}"
                    raise ConfigError(msg)
    except (OSError, EOFError, zlib.error, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}, after line {line}: {error}"
        raise ConfigError(msg) from error


def _opened(path: Path) -> TextIO:
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8", newline="")
    return path.open(encoding="utf-8", newline="")


def _bar(row: list[str]) -> Bar | None:
    try:
        opened, high, low, close = (Decimal(cell) for cell in row[1:5])
    except (InvalidOperation, ValueError):
        return None
    prices = (opened, high, low, close)
    is_sound = all(price.is_finite() for price in prices) and 0 < low <= min(prices) and high >= max(prices)
    return Bar(*prices) if is_sound and len(row) == len(COLUMNS) else None


def recorded_path(path: Path, from_tick: int = 0) -> Iterator[Decimal]:
    """The ticks of all bars of a file, from the given one on."""
    for number, bar in enumerate(read_bars(path)):
        if (number + 1) * TICKS_PER_BAR > from_tick:
            yield from bar.ticks()[max(0, from_tick - number * TICKS_PER_BAR) :]


def walk(seed: int, start_usd: Decimal, from_tick: int = 0, step_ppm_max: int = 300) -> Iterator[Decimal]:
    """A geometric random walk without end, in steps of a tenth of a dollar at least one tenth above zero.

    Step n depends on the seed and n alone, so a walk that is taken up again at tick n with the price it had there
    goes on as if it had never stopped. Each step moves the price by up to `step_ppm_max` parts per million, rounded
    to the nearest tenth.
    """
    tenths = int(start_usd.scaleb(1))
    while True:
        tenths = max(1, (tenths * (_PPM + _step_ppm(seed, from_tick, step_ppm_max)) + _PPM // 2) // _PPM)
        from_tick += 1
        yield Decimal(tenths).scaleb(-1)


def _step_ppm(seed: int, tick: int, step_ppm_max: int) -> int:
    digest = blake2b(f"walk {seed} {tick}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % (2 * step_ppm_max + 1) - step_ppm_max
