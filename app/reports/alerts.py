"""The alerts: what a person should look at, newest first, each trouble once with its last word and how often it was said."""

from datetime import datetime
from typing import Any

from app.reports.tables import plain_rows
from sinks.postgres import connect
from sinks.queries import ask


def read_alerts(dsn: str, since: datetime) -> dict[str, Any]:
    """Return the troubles that were told of since a time."""
    with connect(dsn, "reader", "alerts") as connection:
        return {"alerts": plain_rows(ask(connection, "treasury_alerts", {"since": since}))}
