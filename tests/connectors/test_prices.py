"""Price paths: files are read exactly or refused by line, walks are seeded and go on where they stopped."""

import gzip
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.prices import Bar, read_bars, recorded_path, walk
from domain.errors import ConfigError

HEADER = "timestamp,open,high,low,close,volume\n"
ROWS = "2022-01-01 00:00:00,100.5,103,99,102,7\n2022-01-01 00:01:00,102,104.25,98,101,7\n"
TICKS = ["100.5", "99", "103", "102", "102", "104.25", "98", "101"]


@pytest.mark.parametrize("name", ["bars.csv", "bars.csv.gz"])
@pytest.mark.parametrize("from_tick", range(10))
def test_a_file_is_played_from_any_tick(tmp_path: Path, name: str, from_tick: int) -> None:
    """Each bar gives four exact prices, down first when it closes higher; a path can start anywhere."""
    path = tmp_path / name
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()) if name.endswith("gz") else (HEADER + ROWS).encode())
    assert [Decimal(tick) for tick in TICKS[from_tick:]] == list(recorded_path(path, from_tick))


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "2022,1,2,3,4",
        "2022,1,2,3,4,5,6",
        "2022,10,9,8,9,1",
        "2022,10,12,11,12,1",
        "2022,0,1,0,1,1",
        "2022,NaN,1,1,1,1",
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, bad: str) -> None:
    """File and line stand in the error, and good rows before it were given."""
    path = tmp_path / "bars.csv"
    path.write_text(HEADER + ROWS + bad + "\n")
    bars = read_bars(path)
    assert len(list(islice(bars, 2))) == 2
    with pytest.raises(ConfigError, match=r"bars\.csv, line 4"):
        next(bars)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", b"open,close\n1,2\n"), ("b.csv", b"\xff\xfe"), ("c.csv.gz", b"not gzip"), ("missing.csv", None)],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Wrong columns, wrong bytes and no file at all are the same kind of error."""
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        list(read_bars(tmp_path / name))


@given(st.integers(0, 2**32), st.integers(1, 10**6), st.integers(0, 50))
def test_a_walk_goes_on_where_it_stopped(seed: int, start_tenths: int, cut: int) -> None:
    """Taken up again at any tick it gives the same prices, all positive and in tenths."""
    start_usd = Decimal(start_tenths).scaleb(-1)
    whole = list(islice(walk(seed, start_usd), 60))
    last = whole[cut - 1] if cut else start_usd
    assert whole[cut:] == list(islice(walk(seed, last, cut), 60 - cut))
    assert all(price > 0 and price == price.quantize(Decimal("0.1")) for price in whole)


def test_a_falling_bar_goes_up_first() -> None:
    """The path of a bar crosses its own ground least."""
    bar = Bar(Decimal(4), Decimal(5), Decimal(1), Decimal(2))
    assert bar.ticks() == (4, 5, 1, 2)
