"""What a customer has: all assets in one read, what moved one of them, with what each account came to, and what orders lock.

Amounts are in smallest units. Nothing but the keys of the customer's three accounts is read.
"""

from typing import Any

from pydantic import TypeAdapter

from app.reports.settlement.cursors import Versions, cursor_of, passed, place_of
from app.reports.tables import plain_rows
from domain.errors import BallastError
from sinks.ledger.export import snapshot
from sinks.ledger.history import BY_INDEX
from sinks.postgres import Connection, connect
from sinks.queries import ask

Report = dict[str, Any]

_VERSIONS = TypeAdapter(Versions)


def read_balances(dsn: str, customer: str) -> Report:
    """Return what a customer has of each asset; BallastError for one who never had anything."""
    with connect(dsn, "reader", "settlement balance") as connection:
        rows = plain_rows(ask(connection, "settlement_balances", {"customer": customer}))
    if not rows:
        msg = (
            f"nothing was ever booked for a customer {customer}; who pays in has a balance: ballast produce settlement.flows"
        )
        raise BallastError(msg)
    return {"customer": customer, "balances": rows}


def read_orders(dsn: str, customer: str, limit: int, *, open_only: bool) -> Report:
    """Return the newest orders of a customer, and what became of what each has locked."""
    told = {"customer": customer, "open_only": open_only, "row_limit": limit}
    with connect(dsn, "reader", "settlement orders") as connection:
        connection.execute(BY_INDEX)
        return {"customer": customer, "orders": plain_rows(ask(connection, "settlement_orders", told))}


def read_events(dsn: str, customer: str, asset: str, after: str | None, limit: int) -> Report:
    """Return a page of what moved a balance, the newest first, and where the next one begins, None at the end."""
    told = {"customer": customer, "asset": asset}
    with connect(dsn, "reader", "settlement events") as connection, snapshot(connection):
        connection.execute(BY_INDEX)
        place = place_of(after, _VERSIONS) if after is not None else _newest(connection, told)
        versions = _VERSIONS.dump_json(place).decode()
        rows = ask(connection, "settlement_events", told | {"after": versions, "row_limit": limit + 1})
    shown = rows[:limit]
    following = passed(place, [(row["account"], row["version"]) for row in shown])
    return {**told, "events": plain_rows(shown), "next": cursor_of(following) if len(rows) > limit else None}


def _newest(connection: Connection, told: Report) -> Versions:
    """Return the place before the newest event; BallastError where there is none."""
    found = ask(connection, "settlement_event_versions", told)
    if not found:
        customer, asset = told["customer"], told["asset"]
        msg = f"customer {customer} never had any {asset}; what there is: ballast settlement balance {customer}"
        raise BallastError(msg)
    return {row["account"]: row["version"] + 1 for row in found}
