"""What the settlement refused: page by page for people, and trades that are not settled as JSON."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter
from pydantic_core import to_json

from app.reports.settlement.cursors import cursor_of, place_of
from app.reports.settlement.trades import streamed, written
from app.reports.settlement.words import remedy_of
from app.reports.tables import plain, plain_rows
from domain.errors import ConfigError
from sinks.ledger.export import snapshot
from sinks.ledger.history import BY_INDEX
from sinks.postgres import connect
from sinks.queries import ask

Report = dict[str, Any]

_MOMENT = TypeAdapter(tuple[str, str])
BEYOND = "\x7f"
"""More than any key: those have no such character."""


class Refused(NamedTuple):
    """Which refused words: of a kind, of a symbol, for a reason."""

    kind: str | None = None
    symbol: str | None = None
    reason: str | None = None


def read_refused(dsn: str, asked: Refused, after: str | None, limit: int) -> Report:
    """Return a page of refused words, the newest first, with what to do, and where the next one begins, None at the end."""
    at, key = ("infinity", BEYOND) if after is None else place_of(after, _MOMENT)
    told = {**asked._asdict(), "after_at": at, "after_key": key, "row_limit": limit + 1}
    with connect(dsn, "reader", "settlement quarantine") as connection:
        connection.execute(BY_INDEX)
        rows = ask(connection, "settlement_quarantine", told)
    shown = rows[:limit]
    more = len(rows) > limit
    place = (shown[-1]["recorded_at"].isoformat(), shown[-1]["key"]) if more else None
    return {"refused": [_with_remedy(row) for row in shown], "next": cursor_of(place) if more else None}


def _with_remedy(row: Mapping[str, Any]) -> Report:
    told = {name: plain(value) for name, value in row.items() if name != "key"}
    remedy = "nothing: it is settled" if row["is_settled"] else remedy_of(row["reason"], row["kind"])
    return {**told, "remedy": remedy}


def failed(
    dsn: str, *, trade_id: str | None = None, symbol: str | None = None, reason: str | None = None
) -> Iterator[Report]:
    """Yield trades that were refused and are not settled, by symbol and number, each as it was told, all of one moment."""
    told = {"trade_id": trade_id, "symbol": symbol, "reason": reason}
    with connect(dsn, "reader", "settlement failed") as connection, snapshot(connection):
        connection.execute(BY_INDEX)
        yield from streamed(connection, "settlement_failed", told)


def write_failed(dsn: str, asked: Refused, file: Path) -> int:
    """Write trades that are not settled as a JSON array, one a line, and return how many; the same books make the same bytes."""
    if asked.kind not in (None, "trade"):
        msg = f"the file has trades, so --json-file does not go with --kind {asked.kind}"
        raise ConfigError(msg)
    count = 0
    with written(file) as out:
        out.write("[")
        for row in failed(dsn, symbol=asked.symbol, reason=asked.reason):
            (told,) = plain_rows([{name: row[name] for name in ("reason", "shortfall", "recorded_at")}])
            facts = {"trade": row["body"], **told, "remedy": remedy_of(row["reason"])}
            out.write(",\n" if count else "\n")
            out.write(to_json(facts).decode())
            count += 1
        out.write("\n]\n")
    return count
