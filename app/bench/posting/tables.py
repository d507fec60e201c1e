"""The report for people."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Column, Table

RATES = {
    "by_batch": "batch of {}",
    "by_rejected_percent": "{} % rejected",
    "beside": "beside: {}",
}
SINGLE_RATES = ("with_many_accounts", "with_entries_before", "two_shards", "duplicates", "single", "user_trades")


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print rates, ratios, stages, and what is reached."""
    shown = console or Console()
    for table in (_rates(report), _facts("ratio", report["ratios"]), _facts("stage, ms", report["stages_ms_per_batch"])):
        shown.print(table)
    for load, sizes in report["bytes_per_transaction"].items():
        shown.print(_facts(f"bytes per transaction, {_words(load)}", sizes))
    shown.print(_reached(report))


def _rates(report: Mapping[str, Any]) -> Table:
    table = Table(
        "", *(_right(name) for name in ("transactions/s", "writer CPU µs", "backend CPU µs", "p50 ms", "p99 ms", "posted"))
    )
    for section, label in RATES.items():
        for name, rate in report[section].items():
            table.add_row(label.format(_words(name)), *_rate(rate))
    for section in SINGLE_RATES:
        table.add_row(_words(section), *_rate(report[section]))
    return table


def _rate(rate: Mapping[str, float]) -> list[str]:
    share = rate.get("posted_share", 1)
    return [
        f"{rate['per_second']:,}",
        *(str(rate.get(name, "")) for name in ("writer_cpu_us", "backend_cpu_us", "batch_p50_ms", "batch_p99_ms")),
        f"{share:.0%}",
    ]


def _facts(title: str, facts: Mapping[str, float]) -> Table:
    table = Table(title, _right(""))
    for name, value in facts.items():
        table.add_row(_words(name), str(value))
    return table


def _reached(report: Mapping[str, Any]) -> Table:
    table = Table("target", _right("bound"), _right("measured"), "reached")
    for target in report["reached"]:
        bound = f"< {target['below']:,}" if "below" in target else f"≥ {target['at_least']:,}"
        table.add_row(target["what"], bound, f"{target['measured']:,}", "yes" if target["ok"] else "no")
    return table


def _right(name: str) -> Column:
    return Column(name, justify="right")


def _words(name: str) -> str:
    return name.replace("_", " ")
