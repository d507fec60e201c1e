"""The page of an audit: plots that stay inside their pictures, and words that stay words."""

import re

from hypothesis import given
from hypothesis import strategies as st

from app.reports.audit.page import HEIGHT, PLOTS, POINTS_MAX, WIDTH, Line, bars, lines, page, table

AMOUNTS = st.integers(-(10**37), 10**37)
MADE = {"made_at": "2026-01-31", "verdict": "breach", "system": {"cluster_id": None, "database": "d"}}


@given(st.lists(st.tuples(st.integers(0, 2**50), AMOUNTS, AMOUNTS), min_size=1, max_size=50), st.integers(1, 100))
def test_lines_stay_inside_their_picture(rows: list[tuple[int, int, int]], times: int) -> None:
    """However many they are and however large, below zero too, each line ends with its last value, in time's order."""
    at_us, owed, short = zip(*sorted(rows * times), strict=True)
    drawn = re.findall(r'points="([^"]*)"', lines([Line("owed", owed), Line("short", short)], at_us, "cents"))
    assert 2 == len(drawn)
    for line in drawn:
        points = [tuple(map(float, point.split(","))) for point in line.split(" ")]
        assert len(points) <= POINTS_MAX + 1
        assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in points)
        assert sorted(x for x, _ in points) == [x for x, _ in points]


@given(st.lists(st.tuples(st.dates().map(str), st.integers(1, 10**12)), min_size=1, max_size=700))
def test_bars_stay_inside_their_picture(counted: list[tuple[str, int]]) -> None:
    """The newest days are shown, as many as fit."""
    drawn = re.findall(r'<rect x="([0-9.]+)" y="([0-9.]+)" width="([0-9.]+)" height="([0-9.]+)"', bars(counted))
    assert min(len(counted), POINTS_MAX) == len(drawn)
    for x, y, width, height in (map(float, found) for found in drawn):
        assert 0 <= x <= x + width <= WIDTH + 1
        assert 0 <= y <= y + height <= HEIGHT + 0.1


def test_nothing_is_drawn_of_nothing() -> None:
    """Where there are no rows the page says so."""
    assert "<p>Nothing.</p>" == lines([], [], "cents") == bars([]) == table([])


def test_what_a_row_says_is_no_markup() -> None:
    """A memo that somebody typed is shown as it is, and runs nowhere."""
    evil = "<script>alert(1)</script>"
    row = {"id": evil, "found": None, "n": 3}
    checks = [
        {
            "name": evil,
            "invariant": "I1",
            "holds": evil,
            "verdict": "breach",
            "checked": 1,
            "of": "x",
            "breaches": 1,
            "rows": [row],
        }
    ]
    said = page({**MADE, "checks": checks}, dict.fromkeys(PLOTS, ()))
    assert "<script" not in said
    assert 3 == said.count("&lt;script&gt;")
