"""What policies cost: the report is a function of its seed, and what it compares is what was simulated."""

import json
from pathlib import Path

import pytest

from app.bench.treasury import measure, rows
from domain.errors import ConfigError
from tests.app.conftest import Ballast


def test_the_same_seed_says_the_same(tmp_path: Path, ballast: Ballast) -> None:
    """Two runs, one of them a process of its own, give the same bytes, plot and all; another seed gives others."""
    here = measure(3, 2, 200, 15, tmp_path / "here.svg")
    plan = ["--days", "2", "--flows-per-day", "200", "--seed", "3", "--plot", "there.svg"]
    there = ballast("bench", "treasury", *plan, "--json")
    assert (0, "", here) == (there.code, there.err, there.json())
    assert json.dumps(here, separators=(",", ":")) + "\n" == there.out
    assert (tmp_path / "here.svg").read_bytes() == (tmp_path / "there.svg").read_bytes()
    assert here != measure(4, 2, 200, 15)


def test_windows_save_conversions() -> None:
    """Policies that wait for the minimum convert at most half as often as every flow would, over the same flows."""
    report = measure(1, 9, 600, 15)
    found = {one["policy"]: one for one in report["policies"]}
    each = found["one per flow"]
    assert (report["flows"], report["gross_cents"]) == (each["conversions"], each["volume_cents"])
    for name in ("minimum", "batch", "service level", "Miller-Orr"):
        assert 2 * found[name]["conversions"] <= each["conversions"]
    assert [*found] == [row["policy"] for row in rows(report)]


def test_a_plot_has_a_file_that_can_be_drawn(tmp_path: Path) -> None:
    """A file of a kind that nobody can draw is a sentence."""
    with pytest.raises(ConfigError, match=r"\.svg"):
        measure(1, 1, 50, 15, tmp_path / "plot.nothing")
