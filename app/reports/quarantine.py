"""Messages that could not be used: which there are, what each says, and sending again what can be used now.

A row of quarantine is evidence and stays. What is sent again is a new message with the same bytes: whoever reads it finds by
its content what was booked of it already, so sending it twice books nothing twice.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from app.reports.tables import plain_rows
from connectors.clock import now_ms
from domain.topics import BY_NAME
from operators.streams.decode import Refused, check_time, parser
from sinks.postgres import connect
from sinks.queries import ask

Row = dict[str, Any]


class Sorted(NamedTuple):
    """Kept messages, apart: those that can be read now, and the others with the reason that they are refused for today."""

    usable: list[Row]
    unusable: list[tuple[Row, str]]


def read_quarantine(dsn: str, topic: str | None, limit: int) -> dict[str, Any]:
    """Return the newest messages in quarantine, of one topic or of all."""
    with connect(dsn, "reader", "quarantine list") as connection:
        counts = {row["label"]: row["n"] for row in ask(connection, "treasury_tallies") if row["subject"] == "quarantine"}
        rows = ask(connection, "treasury_quarantine", {"topic": topic, "row_limit": limit})
    return {"counts": dict(sorted(counts.items())), "messages": plain_rows(rows)}


def read_kept(dsn: str, topic: str, partition: int | None = None, offset: int | None = None) -> list[Row]:
    """Return what is kept of the messages of a topic with their bytes, the oldest first."""
    with connect(dsn, "reader", "quarantine show") as connection:
        return ask(connection, "treasury_quarantined", {"topic": topic, "partition": partition, "offset": offset})


def shown(rows: Sequence[Row]) -> list[Row]:
    """Return kept messages for people: bytes as text, and what is no text in it as escapes, so that nothing is lost."""
    return plain_rows([row | {"key": _text(row["key"]), "raw": _text(row["raw"])} for row in rows])


def sorted_by_use(rows: Sequence[Row]) -> Sorted:
    """Judge kept messages by today's program and today's time, as `ballast produce` judges what is typed."""
    found = Sorted([], [])
    for row in rows:
        try:
            check_time(parser(BY_NAME[row["topic"]].model)(bytes(row["raw"])), now_ms())
        except Refused as refused:
            found.unusable.append((row, f"{refused.reason}: {refused}"))
        else:
            found.usable.append(row)
    return found


def _text(raw: bytes | None) -> str | None:
    return None if raw is None else bytes(raw).decode(errors="backslashreplace")
