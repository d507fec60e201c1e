"""How a command shows a report: for people, or with `--json` as one JSON object on standard output and nothing else."""

import json
from typing import Any


def show(report: dict[str, Any], as_json: bool) -> None:
    """Print a report: one JSON object, or a line per fact."""
    if as_json:
        print(json.dumps(report, separators=(",", ":")))
        return
    for name, value in report.items():
        print(f"{name.replace('_', ' ')}: {json.dumps(value) if isinstance(value, dict | list) else value}")


def show_rows(report: dict[str, Any], name: str, as_json: bool) -> None:
    """Print a report: one JSON object, or the table in it that has this name."""
    if as_json:
        show(report, as_json)
        return
    from app.reports.tables import aligned  # noqa: PLC0415 - rich is slow to load

    print(aligned(report[name]), end="")
