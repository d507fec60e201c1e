"""Bars of a price history: the files that exchanges give out are read exactly, or refused by line."""

from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.venue.simulated.bars import Bar, Gap, gaps, read_bars
from domain.errors import ConfigError

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = "2022-01-01 00:00:00,100.5,103,99,102,7\n2022-01-01 00:01:00,102,104.25,98,101,7\n"
AT_MS = 1_640_995_200_000
BARS = [
    Bar(AT_MS, Decimal("100.5"), Decimal(103), Decimal(99), Decimal(102)),
    Bar(AT_MS + 60_000, Decimal(102), Decimal("104.25"), Decimal(98), Decimal(101)),
]


@pytest.mark.parametrize(
    "text",
    [
        HEADER + ROWS,
        "\ufeff" + HEADER + ROWS,
        (HEADER.upper() + ROWS).replace("\n", "\r\n"),
        ROWS,
        "Unix,Symbol,Open,High,Low,Close\n1640995200,BTC/USD,100.5,103,99,102\n1640995260,BTC/USD,102,104.25,98,101\n",
        "time,low,high,open,close,volume\n1640995200,99,103,100.5,102,7\n1640995260,98,104.25,102,101,7\n",
        "1640995200000,100.5,103,99,102,7,1640995259999,1,1\n1640995260000,102,104.25,98,101,7,1640995319999,1,1\n",
        "open_time,open,high,low,close\n1640995200000000,100.5,103,99,102\n1640995260000000,102,104.25,98,101\n",
        "ts,o,h,l,c,vol\n1640995200000000000,100.5,103,99,102,7\n1640995260000000000,102,104.25,98,101,7\n",
        "date,open,high,low,close\n2022-01-01T01:00:00+01:00,100.5,103,99,102\n2022-01-01T00:01:00Z,102,104.25,98,101\n",
    ],
)
def test_files_as_exchanges_write_them(tmp_path: Path, text: str) -> None:
    """Columns go by their names, times may be dates or numbers of any unit, and a byte order mark is left out."""
    path = tmp_path / "bars.csv"
    path.write_bytes(text.encode())
    assert list(read_bars(path)) == BARS


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ("x", "not a bar"),
        ("2022-01-01 00:02:00,1,2,3", "not a bar"),
        ("2022-01-01 00:02:00,10,9,8,9,1", "do not fit"),
        ("2022-01-01 00:02:00,10,12,11,12,1", "do not fit"),
        ("2022-01-01 00:02:00,0,1,0,1,1", "do not fit"),
        ("2022-01-01 00:02:00,NaN,1,1,1,1", "not a price"),
        ("2022-01-01 00:02:00,1_00,100,100,100,1", "not a price"),
        ("2022-01-01 00:02:00,１00,100,100,100,1", "not a price"),
        ("2022-01-01 00:01:00,102,104.25,98,101,7", "leave one of the two out"),
        ("2022-01-01 00:00:30,102,104.25,98,101,7", "oldest first"),
        ("1640995320000,102,104.25,98,101,7", "not one of dates"),
        ("n/a,102,104.25,98,101,7", "Invalid isoformat"),
        ("1970-01-20 00:00:00,102,104.25,98,101,7", "none of a price of bitcoin"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: str, why: str) -> None:
    """File, line and what is wrong stand in the error, and good rows before it were given."""
    path = tmp_path / "bars.csv"
    path.write_text(HEADER + ROWS + bad + "\n", encoding="utf-8")
    bars = read_bars(path)
    assert list(islice(bars, 2)) == BARS
    with pytest.raises(ConfigError, match=rf"bars\.csv, line 4: .*{why}"):
        next(bars)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"open,close\n1,2\n"),
        ("b.csv", b"\xff\xfe"),
        ("c.csv.gz", b"not gzip"),
        ("missing.csv", None),
        ("units.csv", b"1640995200,1,1,1,1\n1640995260000,1,1,1,1\n"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Wrong columns, wrong bytes, units that change, and no file at all are the same kind of error."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        list(read_bars(tmp_path / name))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=20).filter(lambda steps: 1 in steps))
def test_what_is_missing_is_found(steps: list[int]) -> None:
    """Steps that are longer than the shortest leave a gap, and the gaps are what is missing from the whole."""
    times = [AT_MS]
    for step in steps:
        times.append(times[-1] + step)
    found = gaps([BARS[0]._replace(at_ms=at_ms) for at_ms in times])
    assert [Gap(at_ms, step - 1) for at_ms, step in zip(times, steps, strict=False) if step > 1] == found
    assert times[-1] - times[0] == len(steps) + sum(gap.missing_ms for gap in found)


def test_a_falling_bar_goes_up_first() -> None:
    """The path of a bar crosses its own ground least."""
    assert BARS[1].ticks() == (102, Decimal("104.25"), 98, 101)
