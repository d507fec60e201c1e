"""How the treasury stands: buffers against their thresholds, jobs, providers, read as of one moment.

Amounts are in minor units.
"""

from collections.abc import Sequence
from typing import Any

from app.reports.tables import plain_rows
from domain.errors import BallastError
from sinks.ledger.export import snapshot
from sinks.postgres import Connection, connect
from sinks.queries import ask

Report = dict[str, Any]

DAY_SECONDS, STALE_SECONDS = 86_400, 1_800


def summary(connection: Connection, stale_seconds: int = STALE_SECONDS) -> Report:
    """Return the numbers of a treasury that take the same time to read however long its history is."""
    buffers = plain_rows(ask(connection, "treasury_buffers"))
    recent = ask(connection, "treasury_recent_jobs", {"period_seconds": DAY_SECONDS})
    completed = sum(row["completed"] for row in recent)
    seconds = sum(row["total_seconds"] or 0 for row in recent)
    return {
        "control": buffers[0]["control"] if buffers else None,
        "buffers": buffers,
        "jobs": {row["state"]: row["n"] for row in ask(connection, "treasury_job_counts")},
        "stale_jobs": len(ask(connection, "treasury_stale_jobs", {"stale_seconds": stale_seconds})),
        "day": {
            "completed": completed,
            "failed": sum(row["failed"] for row in recent),
            "average_seconds": int(seconds / completed) if completed else None,
        },
        "providers": _providers(connection, None),
    }


def read_treasury(dsn: str, stale_seconds: int) -> Report:
    """Return how buffers stand against their thresholds, which jobs are under way or stale, and how providers do."""
    with connect(dsn, "reader", "treasury status") as connection, snapshot(connection):
        stale = ask(connection, "treasury_stale_jobs", {"stale_seconds": stale_seconds})
        return {
            **summary(connection, stale_seconds),
            "active": plain_rows(ask(connection, "treasury_active_jobs")),
            "stale": plain_rows(stale),
        }


def read_job(dsn: str, job_id: str) -> Report:
    """Return the whole life of a job: what is known of it, its steps, and what it has moved; BallastError when there is none."""
    with connect(dsn, "reader", "treasury job") as connection, snapshot(connection):
        found = plain_rows(ask(connection, "treasury_job", {"job_id": job_id}))
        if not found:
            msg = f"there is no job {job_id}; those that are under way: ballast treasury status"
            raise BallastError(msg)
        steps = plain_rows(ask(connection, "treasury_job_changes", {"job_id": job_id}))
        postings = plain_rows(ask(connection, "treasury_job_postings", {"job_id": job_id}))
    return {"job": _exact(found[0]), "steps": steps, "postings": postings}


def _exact(job: Report) -> Report:
    """Return a job without the amounts in whole units, which JSON has no exact form for."""
    return {name: value for name, value in job.items() if not name.endswith(("_whole", "_seconds"))}


def read_thresholds(dsn: str, buffer: str | None) -> list[Report]:
    """Return what buffers are kept between, or one of them; none where nobody has said it yet."""
    with connect(dsn, "reader", "treasury thresholds") as connection:
        return plain_rows(ask(connection, "treasury_thresholds", {"buffer": buffer}))


def read_providers(dsn: str, names: Sequence[str]) -> list[Report]:
    """Return providers on their newest terms, the worst first; BallastError for a name that nobody has."""
    with connect(dsn, "reader", "treasury providers") as connection:
        found = _providers(connection, None)
    unknown = sorted(set(names) - {row["provider"] for row in found})
    if unknown:
        known = ", ".join(sorted(row["provider"] for row in found)) or "none yet"
        msg = f"there is no provider {unknown[0]}; there are: {known}; to add one: ballast treasury providers --help"
        raise BallastError(msg)
    return [row for row in found if not names or row["provider"] in names]


def _providers(connection: Connection, provider: str | None) -> list[Report]:
    rows = ask(connection, "treasury_providers", {"provider": provider})
    rates = [{name: str(row[name]) for name in ("fee_bps", "success_rate_pct") if row[name] is not None} for row in rows]
    return [{**row, **rate} for row, rate in zip(plain_rows(rows), rates, strict=True)]
