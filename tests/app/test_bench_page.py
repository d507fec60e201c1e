"""The page of what was measured: it says what the reports say, and how to repeat it."""

from pathlib import Path
from typing import Any

import pytest

from app.bench.page import COMMANDS, page, read_report
from domain.errors import ConfigError
from tests.app.surroundings import assert_one_sentence, run_ballast

RATES = (
    "catching_up",
    "end_to_end",
    "end_to_end_grouped",
    "posting",
    "copy",
    "naked_function",
    "bytewax",
    "confluent_kafka",
)
END_TO_END: dict[str, Any] = {
    "trades": 1000,
    "runs": 3,
    **{f"{name}_per_second": 1001 + number for number, name in enumerate(RATES)},
    **{f"{name}_us_per_trade": 51 + number for number, name in enumerate(("flow", "ledger", "postgres", "broker", "all"))},
    **{f"{name}_{p}_ms": 31 for name in ("decision", "grouped", "grouped_beside_backlog") for p in ("p50", "p99")},
    "stages_us_per_trade": {"decode": 6.5, "fold_and_render": 14.25},
}
POSTING: dict[str, Any] = {
    "plan": {"runs": 3, "prefill_entries": 10_000_000, "large_accounts": 1_000_000},
    "surroundings": {"cpus": 2, "python": "3.11.9", "postgres": {"server_version": "18.0", "fsync": "on"}},
    "by_batch": {
        "100": {"per_second": 2001, "writer_cpu_us": 41.5, "backend_cpu_us": 84.5},
        "2000": {"per_second": 2002, "writer_cpu_us": 21.5, "backend_cpu_us": 31.5},
        "chosen": {"per_second": 2003},
    },
    **{name: {"per_second": 2004} for name in ("with_many_accounts", "with_entries_before", "two_shards")},
    "single": {"per_second": 2006, "writer_cpu_us": 853.5, "backend_cpu_us": 1615.5},
    "beside": {"copy": {"per_second": 2005}},
    "stages_ms_per_batch": {"fold": 17.5},
}


def test_every_figure_stands_on_the_page() -> None:
    """What was measured is there as it was measured, with the commands that measure it again."""
    shown = page(POSTING, END_TO_END)
    assert COMMANDS in shown
    figures = [value for report in (END_TO_END, POSTING) for value in _figures(report)]
    assert [] == [value for value in figures if f" {value:,} " not in shown.replace("|", " ").replace(",\n", " ")]


def _figures(report: Any) -> list[float]:
    if isinstance(report, dict):
        named = [value for name, value in report.items() if name not in ("surroundings", "chosen", "runs")]
        return [figure for value in named for figure in _figures(value)]
    return [report]


def test_bars_are_drawn_to_the_largest_of_their_table() -> None:
    """The largest fills the row, half of it half, and nothing is left without a bar."""
    shown = page(POSTING, {**END_TO_END, "stages_us_per_trade": {"most": 48.0, "half": 24.0, "none": 0.0}})
    bars = {line.split("|")[1].strip(): line.count("█") for line in shown.splitlines() if "█" in line}
    assert (24, 12, 1) == (bars["most"], bars["half"], bars["none"])


@pytest.mark.parametrize("text", ["", "[1]", '{"trades": 5}'])
def test_what_is_no_report_is_one_sentence(text: str, tmp_path: Path) -> None:
    """A file of something else says what to write into it."""
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(ConfigError, match="write one with: ballast bench end-to-end --json"):
        read_report(path, "end-to-end")


def test_the_command_says_so_too(tmp_path: Path) -> None:
    """A report that is not there is one sentence on standard error."""
    said = run_ballast("bench", "page", "posting.json", "end-to-end.json", cwd=tmp_path)
    assert_one_sentence(said, "posting.json", "ballast bench posting --json")
