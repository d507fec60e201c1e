"""One page of what was measured: Markdown from the reports of `ballast bench … --json`, with the commands that repeat them.

What is compared stands in one table with a bar beside each figure, drawn to the largest of the table. A reader of the page sees
what a trade costs and where, what would be the floor, and how the cost grows with batches, accounts, history and workers.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from domain.errors import ConfigError

BAR_CELLS = 24

Report = Mapping[str, Any]
Rows = Iterable[tuple[str, float]]

COMMANDS = """\
ballast bench posting --json > posting.json
ballast bench end-to-end --json > end-to-end.json
ballast bench page posting.json end-to-end.json > docs/benchmarks.md
"""

GROWTH = (
    ("a ledger that is empty, 200 accounts", ("by_batch", "2000")),
    ("the same with entries there before", ("with_entries_before",)),
    ("many accounts, all used", ("with_many_accounts",)),
    ("two shards, a process each", ("two_shards",)),
)
_OF = {"posting": "stages_ms_per_batch", "end-to-end": "end_to_end_grouped_per_second"}
"""What only the report of that command has."""
PARTS = ("flow", "ledger", "postgres", "broker", "all")


def read_report(path: Path, command: str) -> Report:
    """Return what a command said in this file; ConfigError if that is something else."""
    try:
        report = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        msg = f"{path} is no report: {error}; write one with: ballast bench {command} --json > {path}"
        raise ConfigError(msg) from error
    if not isinstance(report, dict) or _OF[command] not in report:
        msg = f"{path} is no report of this version; write one with: ballast bench {command} --json > {path}"
        raise ConfigError(msg)
    return report


def page(posting: Report, end_to_end: Report) -> str:
    """Return the page."""
    return "\n".join([*_head(posting, end_to_end), *_trades(end_to_end), *_ledger(posting)])


def _head(posting: Report, end_to_end: Report) -> list[str]:
    where, plan = posting["surroundings"], posting["plan"]
    postgres = ", ".join(f"{name} {value}" for name, value in where["postgres"].items())
    return [
        "# Measured",
        "",
        f"On {where['cpus']} cores, Python {where['python']}, Postgres: {postgres}. Machines differ, and are noisy: ratios",
        "within a run and microseconds of the processor are what to compare. The last of these commands has written this page",
        f"from what the others measured ({plan['runs']} and {end_to_end['runs']} rounds, medians):",
        "",
        "```",
        COMMANDS.rstrip(),
        "```",
        "",
    ]


def _trades(report: Report) -> list[str]:
    rates = {
        "a flow and its ledger, in steady state": "end_to_end",
        "the same, catching up after a stop": "catching_up",
        "each flow as a worker of its own": "end_to_end_grouped",
        "the ledger's writer by itself": "posting",
        "COPY of the same rows, nothing else": "copy",
        "a naked function that writes by sets": "naked_function",
        "a dataflow of two steps that parses the messages": "bytewax",
    }
    spent = [(name, report[f"{name}_us_per_trade"]) for name in PARTS]
    latencies = {"all flows in one": "decision", "a worker each": "grouped", "beside a backlog": "grouped_beside_backlog"}
    return [
        f"## User trades, {report['trades']:,} of them",
        "",
        *_table("per second", [(name, report[f"{key}_per_second"]) for name, key in rates.items()]),
        f"A plain consumer reads the messages of {report['confluent_kafka_per_second']:,} trades a second.",
        "",
        *_table("µs of the processor per trade, in steady state", spent),
        *_table("µs per trade of each stage alone", report["stages_us_per_trade"].items()),
        "From a message to the decision that it causes, at 1,000 trades a second:",
        "",
        "| | p50 ms | p99 ms |",
        "|---|--:|--:|",
        *(f"| {name} | {report[f'{key}_p50_ms']} | {report[f'{key}_p99_ms']} |" for name, key in latencies.items()),
        "",
    ]


def _ledger(report: Report) -> list[str]:
    plan = report["plan"]
    sizes = [(f"batches of {size}", rate["per_second"]) for size, rate in report["by_batch"].items() if size.isdigit()]
    beside = [(name.replace("_", " "), rate["per_second"]) for name, rate in report["beside"].items()]
    grown = [(name, _at(report, path)["per_second"]) for name, path in GROWTH]
    return [
        "## The ledger's writer",
        "",
        *_table(
            "transactions per second, by batch",
            [*sizes, ("one by one, each a call of its own", report["single"]["per_second"])],
        ),
        *_cpu(report),
        *_table("beside, per second", beside),
        f"How it grows: {plan['prefill_entries']:,} entries before, and {plan['large_accounts']:,} accounts.",
        "",
        *_table("transactions per second", grown),
        *_table("ms of each stage of a batch of 2,000", report["stages_ms_per_batch"].items()),
    ]


def _cpu(report: Report) -> list[str]:
    """Return what a transaction costs the processor; nothing where the kernel did not tell."""
    sizes = {f"batches of {size}": rate for size, rate in report["by_batch"].items() if size.isdigit()}
    rates = {**sizes, "one by one": report["single"], "many accounts, all used": report["with_many_accounts"]}
    told = {name: rate for name, rate in rates.items() if "writer_cpu_us" in rate}
    if not told:
        return []
    return [
        "| µs of the processor per transaction | writer | backend |",
        "|---|--:|--:|",
        *(f"| {name} | {rate['writer_cpu_us']:,} | {rate['backend_cpu_us']:,} |" for name, rate in told.items()),
        "",
    ]


def _at(report: Report, path: Iterable[str]) -> Report:
    for name in path:
        report = report[name]
    return report


def _table(title: str, rows: Rows) -> list[str]:
    listed = list(rows)
    most = max(value for _, value in listed) or 1
    drawn = (f"| {name.replace('_', ' ')} | {value:,} | `{_bar(value / most)}` |" for name, value in listed)
    return [f"| {title} | | |", "|---|--:|:--|", *drawn, ""]


def _bar(share: float) -> str:
    return "█" * max(1, round(share * BAR_CELLS))
