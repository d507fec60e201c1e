"""Price paths: files are played from any tick, walks are seeded and go on where they stopped."""

import gzip
from decimal import Decimal
from itertools import islice
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.venue.simulated.prices import recorded_path, walk

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


@given(st.integers(0, 2**32), st.integers(1, 10**6), st.integers(0, 50))
def test_a_walk_goes_on_where_it_stopped(seed: int, start_tenths: int, cut: int) -> None:
    """Taken up again at any tick it gives the same prices, all positive and in tenths."""
    start_usd = Decimal(start_tenths).scaleb(-1)
    whole = list(islice(walk(seed, start_usd), 60))
    last = whole[cut - 1] if cut else start_usd
    assert whole[cut:] == list(islice(walk(seed, last, cut), 60 - cut))
    assert all(price > 0 and price == price.quantize(Decimal("0.1")) for price in whole)
