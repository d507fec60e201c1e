"""Looking up one thing of each kind by its id: a node with all that is recorded of it, or None if there is none."""

import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

from app.reports.explain.buffers import BUFFER, buffer_reasons
from app.reports.explain.graph import Facts, Node
from app.reports.explain.reasons import policy_of, reasons
from app.reports.explain.settlement import remedy
from app.reports.quarantine import shown, sorted_by_use
from app.reports.tables import plain_rows
from domain.ledger.accounts import LIABILITY
from domain.messages.decisions import Decision
from sinks.postgres import Connection
from sinks.queries import ask

MESSAGE = re.compile(r"(.+)/([0-9]{1,9})/([0-9]{1,18})")
ENTRY = ("account", "currency", "layer", "debit", "credit", "normal_balance_after", "version")
DECISION = tuple([name for name in Decision.model_fields if name != "schema_version"])

Watched = Mapping[str, tuple[str, str]]
"""By book: the account and the currency of its liability."""


class Records(NamedTuple):
    """Where things are looked up, and what the books are to hedge."""

    connection: Connection
    watched: Watched


def rows(records: Records, query: str, **parameters: object) -> list[Facts]:
    """Return what a named query answers, as plain JSON."""
    return plain_rows(ask(records.connection, query, parameters))


def place_of(name: str) -> Facts | None:
    """Return topic, partition and offset of the id of a message."""
    found = MESSAGE.fullmatch(name)
    return found and {"topic": found[1], "partition": int(found[2]), "offset": int(found[3])}


def find_message(records: Records, name: str) -> Node | None:
    """Return a message that something is recorded of: what it led to, or why it is in quarantine, with its bytes."""
    place = place_of(name)
    if place is None:
        return None
    kept = ask(records.connection, "treasury_quarantined", place)
    refusals, booked = rows(records, "look_message_refusals", **place), rows(records, "look_message", **place)
    if not (kept or refusals or booked):
        return None
    facts = {**place, "refusals": refusals, "booked": [row["tx_id"] for row in booked]}
    return Node("message", name, facts | ({"quarantined": _kept(kept[-1])} if kept else {}))


def _kept(row: dict[str, Any]) -> Facts:
    """What is kept of a message, and what today's program says of it."""
    text = shown([row])[0]
    unusable = sorted_by_use([row]).unusable
    told = {name: text[name] for name in ("reason", "detail", "key", "raw", "recorded_at")}
    return told | {"today": unusable[0][1] if unusable else None}


def find_leg(records: Records, name: str) -> Node | None:
    """Return a leg that was booked, rejected or refused."""
    trades, refusals = rows(records, "look_leg", id=name), rows(records, "look_refusals", id=name)
    if not (trades or refusals):
        return None
    facts = {"trades": [trade["tx_id"] for trade in trades], "refusals": refusals}
    return Node("leg", name, facts | _told_of_leg(records, name, trades))


def _told_of_leg(records: Records, name: str, trades: list[Facts]) -> Facts:
    """Return the leg as the newest of its trades has it."""
    for trade in trades[-1:]:
        booked = find_transaction(records, trade["tx_id"]) or find_rejection(records, trade["tx_id"])
        if booked is not None:
            return next(booked.facts["meta"][side] for side in ("btc_leg", "usd_leg") if trade[side] == name)
    return {}


def find_transaction(records: Records, name: str) -> Node | None:
    """Return a transaction with its entries."""
    tx_id = uuid_of(name)
    found = rows(records, "look_trade", tx_id=tx_id)
    if not found:
        return None
    entries = [{column: row[column] for column in ENTRY} for row in rows(records, "ledger_transaction", tx_id=tx_id)]
    return Node("transaction", found[0]["tx_id"], {**found[0], "entries": entries})


def find_rejection(records: Records, name: str) -> Node | None:
    """Return a transaction that the ledger rejected, as it was posted."""
    tx_id = uuid_of(name)
    found = rows(records, "ledger_rejection", tx_id=tx_id)
    return Node("rejection", str(tx_id), {"reason": found[0]["reason"], **found[0]["payload"]}) if found else None


def uuid_of(name: str) -> UUID | None:
    """Return the id of a transaction, however it is written; None, which no transaction has, if it cannot be one."""
    try:
        return UUID(name)
    except ValueError:
        return None


def find_request(records: Records, name: str) -> Node | None:
    """Return an order or a transfer with its states."""
    found = rows(records, "look_request", id=name)
    if not found:
        return None
    return Node(found[0]["kind"], name, {**found[0], "changes": rows(records, "look_request_changes", id=name)})


def find_job(records: Records, name: str) -> Node | None:
    """Return a conversion job with every step of its life, by its key or by what its provider calls it."""
    found = rows(records, "treasury_job", job_id=name)
    if not found:
        named = rows(records, "look_job_by_provider", id=name)
        return find_job(records, named[0]["job_id"]) if named else None
    told = {field: value for field, value in found[0].items() if not field.endswith("_whole")}
    return Node("job", name, told | {"steps": rows(records, "treasury_job_changes", job_id=name)})


def find_decision(records: Records, name: str) -> Node | None:
    """Return a decision with its reasons, and what had changed the liability since the one before."""
    found = rows(records, "look_decision", id=name)
    if not found:
        return None
    decision = Decision.model_validate({field: found[0][field] for field in DECISION})
    told = {field: value for field, value in found[0].items() if field not in ("inputs", "policy_body")}
    if decision.kind == BUFFER:
        return Node("decision", name, {**told, **buffer_reasons(decision, found[0]["policy_body"])})
    since = _since(records, decision, records.watched.get(decision.book, LIABILITY))
    return Node("decision", name, {**told, **reasons(decision, policy_of(found[0]["policy_body"])), "since": since})


def _since(records: Records, decision: Decision, liability: tuple[str, str]) -> Facts:
    """Return what moved since the decision before: by versions, or by time where the account is the sum of its leaves."""
    account, currency = liability
    before = rows(records, "look_decision_before", id=decision.id)
    known = before[0] if before else {"id": None, "liability_version": None, "liability_as_of": None}
    by_time = is_sum(records, account)
    counted, query = ("as_of", "look_moved_by_time") if by_time else ("version", "look_moved_by_version")
    after, until = known[f"liability_{counted}"] or 0, decision.inputs.get(f"liability_{counted}")
    ends = {"after_ms": after, "until_ms": until} if by_time else {"after_version": after, "until_version": until}
    moved = rows(records, query, account=account, currency=currency, **ends)
    summed = {"changes": moved[0]["changes"], "moved": moved[0]["moved_in_all"]} if moved else {"changes": 0, "moved": 0}
    named = [{name: row[name] for name in row if name not in ("changes", "moved_in_all")} for row in moved]
    return {
        "decision_before": known["id"],
        "account": account,
        "currency": currency,
        "by_time": by_time,
        **summed,
        "named": named,
    }


def is_sum(records: Records, account: str) -> bool:
    """Return whether an account has leaves, whose versions do not compare."""
    return any(row["is_summary"] for row in rows(records, "look_sum", account=account))


def find_unsettled(records: Records, name: str) -> Node | None:
    """Return what the settlement refused under a name, or as a number of a symbol, with what can be done about each."""
    found = rows(records, "look_unsettled", id=name)
    return (
        Node("refusal", name, {"refusals": [{**row, "remedy": remedy(row["reason"])} for row in found]}) if found else None
    )


FINDERS: dict[str, Callable[[Records, str], Node | None]] = {
    "message": find_message,
    "leg": find_leg,
    "transaction": find_transaction,
    "rejection": find_rejection,
    "decision": find_decision,
    "request": find_request,
    "job": find_job,
    "refusal": find_unsettled,
}
"""By kind; what is found as a request is an order, a transfer, a conversion or a request to let go of one."""
