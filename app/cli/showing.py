"""How a command shows a report: for people, or with `--json` as one JSON object on standard output and nothing else."""

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from domain.messages.fields import Message


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


def show_said(topic: str, said: "Message", as_json: bool, **more: str) -> None:
    """Print what was said on a topic, without what was left out of it."""
    fields = {name: value for name, value in said.model_dump(mode="json").items() if value is not None}
    fields.pop("schema_version")
    show({"topic": topic, **fields, **more}, as_json)
