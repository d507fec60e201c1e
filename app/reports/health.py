"""Whether a flow is well: database and broker answer, and its steps keep up. It takes the same time however much there is."""

from collections.abc import Sequence

from app.places.places import Places, check_broker, check_database
from app.reports.gauges import STEPS, Reading, StepReport, read_gauges, step_reports
from domain.errors import ConfigError
from sinks.postgres import connect


def flow_trouble(places: Places, flow: str, limit_seconds: float) -> str | None:
    """Return what ails a flow as a sentence, None when it is well.

    Raises `ConfigError`, or what psycopg raises, when the broker or the database does not answer.
    """
    if flow not in STEPS:
        msg = f"there is no flow {flow}; there are {', '.join(STEPS)}"
        raise ConfigError(msg)
    check_database(places.dsn)
    check_broker(places.kafka)
    with connect(places.dsn, "reader", "health") as connection:
        return trouble_of(flow, read_gauges(connection), limit_seconds)


def trouble_of(flow: str, readings: Sequence[Reading], limit_seconds: float) -> str | None:
    """Return the first trouble among a flow's steps, None when each has spoken and come far enough within the limit."""
    reports = step_reports(readings)
    troubles = (_trouble(step, reports.get(step), limit_seconds * 1000) for step in STEPS[flow])
    return next((f"the flow {flow} is not well: {trouble}" for trouble in troubles if trouble), None)


def _trouble(step: str, report: StepReport | None, limit_ms: float) -> str | None:
    if report is None:
        return f"its step {step} has not said anything yet"
    if report.silent_ms > limit_ms:
        return f"its step {step} has been silent for {report.silent_ms // 1000} s"
    if report.behind_ms > limit_ms:
        return f"its step {step} is behind by {report.behind_ms // 1000} s"
    return None
