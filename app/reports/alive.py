"""Who is at work: the writer of each shard by its beat in the database, and each flow by the word of its steps."""

from collections.abc import Mapping
from typing import Any

from app.reports.gauges import STEPS, StepReport
from sinks.postgres import Connection
from sinks.queries import ask

ALIVE_MS = 30_000
"""Who has said nothing for so long is not at work, or hangs; they speak about once a second."""

FLOWS = ("liability", "hedging", "execution", "ledger")
"""The flows, whether they run one by one or as `everything`."""

BESIDE = ("treasury", "settlement")
"""Flows that run beside them where there is something to do, and are no part of `everything`."""


def read_writers(connection: Connection) -> list[dict[str, Any]]:
    """Return who writes to each shard, since when, and whether it was heard of late."""
    return [row | {"is_alive": _is_alive(row["silent_ms"])} for row in ask(connection, "ledger_writers")]


def flow_reports(steps: Mapping[str, StepReport]) -> dict[str, dict[str, Any]]:
    """Return of each flow how silent its most silent step is, and how far behind the last; None if it was never heard of.

    A flow that runs beside the others is told of once it was heard of.
    """
    heard = [flow for flow in BESIDE if steps.keys() & set(STEPS[flow])]
    return {flow: _flow([steps.get(step) for step in STEPS[flow]]) for flow in (*FLOWS, *heard)}


def _flow(reports: list[StepReport | None]) -> dict[str, Any]:
    heard = [report for report in reports if report is not None]
    if not heard or len(heard) < len(reports):
        return {"is_alive": False, "silent_ms": None, "behind_ms": None}
    silent_ms = max(report.silent_ms for report in heard)
    return {"is_alive": _is_alive(silent_ms), "silent_ms": silent_ms, "behind_ms": max(report.behind_ms for report in heard)}


def _is_alive(silent_ms: int | None) -> bool:
    return silent_ms is not None and silent_ms <= ALIVE_MS
