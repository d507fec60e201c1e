"""One step from a thing to those that led to it, and to those that it led to, as far as they are recorded."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import NamedTuple

from app.reports.explain.graph import Node
from app.reports.explain.records import Records, is_sum, place_of, rows
from app.reports.explain.settlement import LEAVES, PAYS, lock_of, orders_of
from domain.ids import timeless_id
from domain.messages.dealer import DealerTransaction
from domain.messages.fields import Message
from domain.messages.venue import CashFlow, Fill
from domain.templates.cash_flows import cash_flow_id
from domain.templates.exchange_position import fill_id, position_id
from domain.templates.rebooking import rebooking_id
from domain.templates.settlement import ORDER_UNLOCKED, trade_id
from domain.times import ms_of
from domain.topics import BY_NAME
from operators.streams.decode import parser

RESOLVED = {
    "reverses": "is reversed by",
    "captures": "is captured by",
    "voids": "is voided by",
    "expires": "expires by",
    None: "shares a leg with",
}
"""How a transaction is told to its cause."""


class Hop(NamedTuple):
    """The other end of an edge, by the kind that finds it; `word` is told from what came first to what came of it."""

    word: str
    kind: str
    id: str


Hops = Iterator[Hop]


def causes(records: Records, node: Node) -> Hops:
    """Yield what led to a thing; what is named and not on record is not found."""
    return CAUSES.get(node.kind, _causes_of_request)(records, node)


def effects(records: Records, node: Node) -> Hops:
    """Yield what a thing led to."""
    return EFFECTS.get(node.kind, _effects_of_request)(records, node)


def _causes_of_message(records: Records, message: Node) -> Hops:
    return _same_bytes(records, message, later=False)


def _same_bytes(records: Records, message: Node, *, later: bool) -> Hops:
    """Yield where its bytes were read and could not be used either."""
    place = place_of(message.id)
    if place is not None and "quarantined" in message.facts:
        for row in rows(records, "look_same_bytes", **place):
            if (tuple(row.values()) > tuple(place.values())) == later:
                yield Hop("was read again as", "message", f"{row['topic']}/{row['partition']}/{row['offset']}")


def _causes_of_leg(_records: Records, leg: Node) -> Hops:
    for refusal in leg.facts["refusals"]:
        yield Hop("told of", "message", f"{refusal['source']}/{refusal['source_offset']}")


def _causes_of_booking(_records: Records, booked: Node) -> Hops:
    """The message that completed it and the legs that it is made of; the same for what was rejected."""
    facts, meta = booked.facts, booked.facts["meta"]
    for side in ("btc_leg", "usd_leg"):
        if side in meta:
            yield Hop("is one side of", "leg", meta[side]["id"])
    yield Hop("led to", "message", f"{facts['source']}/{facts['source_offset']}")


def _causes_of_transaction(records: Records, transaction: Node) -> Hops:
    meta = transaction.facts["meta"]
    yield from _causes_of_booking(records, transaction)
    if "rebooks" in meta:
        yield Hop("is booked after all by", "rejection", meta["rebooks"])
    if "event_id" in meta and transaction.id != fill_id(meta["venue"], meta["event_id"]):
        yield Hop("moves the position by", "transaction", fill_id(meta["venue"], meta["event_id"]))
    for word, posting in orders_of(transaction.facts["template"], meta):
        yield Hop(word, "transaction", posting)
    asked = meta.get("client_order_id") or meta.get("client_id")
    if asked:
        yield Hop("is booked as", "request", asked)
    for row in rows(records, "look_related", tx_id=transaction.id):
        if row["came_before"]:
            yield Hop(RESOLVED[row["relation"]], "transaction", row["tx_id"])


def _causes_of_decision(_records: Records, decision: Node) -> Hops:
    if "since" not in decision.facts:
        return
    for row in decision.facts["since"]["named"]:
        yield Hop(_counted(decision.facts["since"]["by_time"]), "transaction", row["tx_id"])


def _causes_of_job(_records: Records, job: Node) -> Hops:
    yield Hop("orders", "decision", job.facts["decision_id"])


def _causes_of_request(_records: Records, request: Node) -> Hops:
    body = request.facts["body"]
    if "job_id" in body:
        yield Hop("is asked of a provider as", "job", body["job_id"])
    else:
        yield Hop("asks for", "decision", request.facts["decision_id"])


def _effects_of_message(records: Records, message: Node) -> Hops:
    for name in message.facts["booked"]:
        yield Hop("led to", "transaction", name)
        yield Hop("led to", "rejection", name)
    for refusal in message.facts["refusals"]:
        yield Hop("told of", "leg", refusal["leg_id"])
    yield from _same_bytes(records, message, later=True)
    kept = message.facts.get("quarantined")
    if kept is not None and kept["today"] is None:
        yield from _used(message.facts["topic"], kept["raw"])


def _used(topic: str, raw: str) -> Hops:
    """What names by its content what was kept; it is found if it was read after all."""
    read: Message = parser(BY_NAME[topic].model)(raw.encode())
    word = "was used after all as"
    match read:
        case DealerTransaction():
            yield Hop(word, "leg", read.id)
        case Fill():
            yield Hop(word, "transaction", fill_id(read.venue, read.id))
        case CashFlow():
            yield Hop(word, "transaction", cash_flow_id(read.venue, read.id))


def _effects_of_leg(_records: Records, leg: Node) -> Hops:
    for name in leg.facts["trades"]:
        yield Hop("is one side of", "transaction", name)
        yield Hop("is one side of", "rejection", name)


def _effects_of_rejection(_records: Records, rejection: Node) -> Hops:
    yield Hop("is booked after all by", "transaction", rebooking_id(rejection.id))


def _effects_of_transaction(records: Records, transaction: Node) -> Hops:
    meta = transaction.facts["meta"]
    for book, (account, currency) in records.watched.items():
        yield from _counting(records, transaction, book, account, currency)
    if "event_id" in meta and transaction.id != position_id(meta["venue"], meta["event_id"]):
        yield Hop("moves the position by", "transaction", position_id(meta["venue"], meta["event_id"]))
    yield from _of_order(records, transaction)
    for row in rows(records, "look_related", tx_id=transaction.id):
        if not row["came_before"]:
            yield Hop(RESOLVED[row["relation"]], "transaction", row["tx_id"])


def _of_order(records: Records, transaction: Node) -> Hops:
    """Yield the trades that a lock pays for, and what of it is unlocked."""
    lock = lock_of(transaction.facts["template"], transaction.facts["meta"])
    if lock is not None:
        account, order = lock
        for row in rows(records, "look_order_parts", account=account, id=order):
            yield Hop(PAYS, "transaction", row["tx_id"])
        yield Hop(LEAVES, "transaction", timeless_id(ORDER_UNLOCKED, order))


def _causes_of_refusal(_records: Records, refusal: Node) -> Hops:
    for row in refusal.facts["refusals"]:
        yield Hop("led to", "message", f"{row['source']}/{row['source_offset']}")


def _effects_of_refusal(_records: Records, refusal: Node) -> Hops:
    for row in refusal.facts["refusals"]:
        if row["kind"] == "trade":
            yield Hop("is settled after all by", "transaction", trade_id(row["word_id"]))


def _counting(records: Records, transaction: Node, book: str, account: str, currency: str) -> Hops:
    """Yield the decision that knew first of what a transaction did to the liability of a book; after a hold, what followed."""
    versions = [
        entry["version"]
        for entry in transaction.facts["entries"]
        if entry["currency"] == currency and f"{entry['account']}/".startswith(f"{account}/")
    ]
    if versions:
        by_time = is_sum(records, account)
        recorded_ms = ms_of(datetime.fromisoformat(transaction.facts["recorded_at"]))
        known = {"version": None if by_time else max(versions), "since_ms": recorded_ms // 1000 * 1000}
        for row in rows(records, "look_counted_by", book=book, **known):
            yield Hop("is decided on after a hold by" if row["was_held"] else _counted(by_time), "decision", row["id"])


def _counted(by_time: bool) -> str:
    return "is counted, by time, by" if by_time else "is counted by"


def _effects_of_job(records: Records, job: Node) -> Hops:
    for row in rows(records, "look_requests_of_job", id=job.id):
        yield Hop("is asked of a provider as", "request", row["client_id"])


def _effects_of_decision(records: Records, decision: Node) -> Hops:
    if "since" not in decision.facts:
        for row in rows(records, "look_jobs_of_decision", id=decision.id):
            yield Hop("orders", "job", row["job_id"])
        return
    for row in rows(records, "look_requests", id=decision.id):
        yield Hop("asks for", "request", row["client_id"])


def _effects_of_request(records: Records, request: Node) -> Hops:
    for row in rows(records, "look_booked", id=request.id):
        yield Hop("is booked as", "transaction", row["tx_id"])


CAUSES: dict[str, Callable[[Records, Node], Hops]] = {
    "message": _causes_of_message,
    "leg": _causes_of_leg,
    "transaction": _causes_of_transaction,
    "rejection": _causes_of_booking,
    "decision": _causes_of_decision,
    "job": _causes_of_job,
    "refusal": _causes_of_refusal,
}
EFFECTS: dict[str, Callable[[Records, Node], Hops]] = {
    "message": _effects_of_message,
    "leg": _effects_of_leg,
    "transaction": _effects_of_transaction,
    "rejection": _effects_of_rejection,
    "decision": _effects_of_decision,
    "job": _effects_of_job,
    "refusal": _effects_of_refusal,
}
