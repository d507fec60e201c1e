"""Looking one thing up by its id, with all that led to it: a leg, a trade, an order or a transfer, a decision."""

from contextlib import closing
from typing import Any

from app.reports.said import said
from app.reports.tables import plain_rows
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.errors import BallastError
from domain.topics import LEGS_WAITING
from sinks.postgres import Connection, connect
from sinks.queries import ask

Report = dict[str, Any]


def look_at_leg(dsn: str, kafka: KafkaSettings, leg_id: str) -> Report:
    """Return the trades that a leg is or was in, why it was refused, and how it waits. BallastError if nobody knows it."""
    with connect(dsn, "reader", "leg") as connection:
        trades, refusals = _rows(connection, "look_leg", leg_id), _rows(connection, "look_refusals", leg_id)
    with closing(Peek(kafka)) as peek:
        waits = [one.state for one in said(peek, LEGS_WAITING) if one.leg_id == leg_id]
    if not (trades or refusals or waits):
        _unknown("leg", leg_id)
    return {"leg": leg_id, "state": waits[-1] if waits else None, "trades": trades, "refusals": refusals}


def look_at_trade(dsn: str, transaction_id: str) -> Report:
    """Return a transaction with its entries, and what took it back and why. BallastError if there is none."""
    with connect(dsn, "reader", "trade") as connection:
        found = plain_rows(ask(connection, "look_trade", {"tx_id": transaction_id}))
        entries = plain_rows(ask(connection, "ledger_transaction", {"tx_id": transaction_id}))
    if not found:
        _unknown("transaction", transaction_id)
    names = ("leg", "account", "currency", "layer", "debit", "credit", "normal_balance_after")
    return {**found[0], "entries": [{name: entry[name] for name in names} for entry in entries]}


def look_at_order(dsn: str, client_id: str) -> Report:
    """Return an order or a transfer, its states, the decision behind it and what was booked. BallastError if there is none."""
    with connect(dsn, "reader", "order") as connection:
        found = _rows(connection, "look_request", client_id)
        if not found:
            _unknown("order or transfer", client_id)
        decisions = _rows(connection, "look_decision", found[0]["decision_id"])
        return {
            **found[0],
            "changes": _rows(connection, "look_request_changes", client_id),
            "booked": _rows(connection, "look_booked", client_id),
            "decision": decisions[0] if decisions else None,
        }


def look_at_decision(dsn: str, decision_id: str) -> Report:
    """Return a decision as it was taken, with the policy that was in force. BallastError if there is none."""
    with connect(dsn, "reader", "decision") as connection:
        found = _rows(connection, "look_decision", decision_id)
    if not found:
        _unknown("decision", decision_id)
    return found[0]


def _rows(connection: Connection, query: str, name: str) -> list[Report]:
    return plain_rows(ask(connection, query, {"id": name}))


def _unknown(what: str, name: str) -> None:
    msg = f"there is no {what} {name}"
    raise BallastError(msg)
