"""Checks promises against what is left, independently of the flows that kept them.

    I1 nothing lost        every message is in a trade, waiting, refused, in quarantine, or a fact that a newer one replaced
    I2 nothing double      the trades of the ledger are those that the messages imply, each once
    I3 balanced            every transaction, per currency and layer
    I4 balances            equal the sum of their entries, without a gap in the versions
    I7 one in flight       no two orders, and no two transfers, were ever open at once at a venue
    I8 orders              every order at the exchange has one decision, and every order that was sent is known there

The topics are read again from their beginning, the ledger by SQL, the exchange by its own history of events.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

from app.peek import Peek
from app.places import Places
from connectors.exchange.client import HttpExchange
from domain.exchange_facts import OrderChanged
from domain.legs import Leg, leg_from, pairing_key
from domain.messages import DealerTransaction, Message
from domain.pairing import match_closest
from domain.topics import DEALER_TRANSACTIONS, INPUTS, VENUE_CASHFLOWS, VENUE_FILLS, Topic
from sinks.connecting import Connection, connect

EXAMPLES_MAX = 5
PAGE = 1000

LIVE_TRADES = """
SELECT meta -> 'btc_leg' ->> 'id', meta -> 'usd_leg' ->> 'id' FROM ledger.transactions
WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD') AND reversed_by IS NULL
"""
BOOKED_FLOWS = "SELECT meta ->> 'venue', meta ->> 'flow_id' FROM ledger.tx WHERE meta -> 'flow_id' IS NOT NULL"
BOOKED_FILLS = "SELECT meta ->> 'venue', (meta ->> 'sequence')::bigint FROM ledger.tx WHERE meta -> 'sequence' IS NOT NULL"
UNBALANCED = """
SELECT tx_id::text, currency, layer FROM ledger.entry
GROUP BY tx_id, currency, layer HAVING sum(side * amount) <> 0 LIMIT 5
"""
BALANCES_OFF = """
SELECT account_id, currency FROM ledger.balance b FULL JOIN (
    SELECT account_id, currency, count(*) AS n, max(version) AS last,
        coalesce(sum(side * amount) FILTER (WHERE layer = 1), 0) AS settled,
        coalesce(sum(side * amount) FILTER (WHERE layer = 2), 0) AS pending,
        coalesce(sum(side * amount) FILTER (WHERE layer = 3), 0) AS encumbered
    FROM ledger.entry GROUP BY account_id, currency
) e USING (account_id, currency)
WHERE (b.version, b.version, b.settled_debit - b.settled_credit, b.pending_debit - b.pending_credit,
        b.encumbered_debit - b.encumbered_credit)
    IS DISTINCT FROM (coalesce(e.n, 0), coalesce(e.last, 0), coalesce(e.settled, 0), coalesce(e.pending, 0),
        coalesce(e.encumbered, 0))
LIMIT 5
"""
RUNNING_OFF = """
SELECT account_id, currency, version FROM (
    SELECT account_id, currency, version, balance_after, sum(side * amount) OVER (
        PARTITION BY account_id, currency, layer ORDER BY version
    ) AS summed
    FROM ledger.entry
) e WHERE balance_after <> summed ORDER BY account_id, currency, version LIMIT 5
"""
OVERLAPPING = """
SELECT client_id FROM (
    SELECT {id} AS client_id, reserved_at,
        max(coalesce(finished_at, 'infinity')) OVER (
            PARTITION BY venue ORDER BY reserved_at, {id} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS busy_until
    FROM treasury.{table}
) o WHERE reserved_at < busy_until LIMIT 5
"""
ORDERS = """
SELECT o.client_order_id, o.state, d.id IS NOT NULL FROM treasury.venue_order o
LEFT JOIN treasury.decision d ON d.id = o.decision_id
"""
NEVER_THERE = frozenset(("reserved", "rejected", "not_placed", "unknown", "sent"))


class Evidence(NamedTuple):
    """Where to look."""

    connection: Connection
    peek: Peek
    exchange: HttpExchange | None


def check_invariants(places: Places, venue_url: str | None) -> dict[str, list[str]]:
    """Breaches by invariant, a few sentences each; an empty list is a pass."""
    with ExitStack() as stack:
        peek = stack.enter_context(closing(Peek(places.kafka)))
        connection = stack.enter_context(connect(places.dsn, "reader", "invariants"))
        exchange = stack.enter_context(closing(HttpExchange(venue_url, 5))) if venue_url else None
        evidence = Evidence(connection, peek, exchange)
        return {name: list(check(evidence))[:EXAMPLES_MAX] for name, check in CHECKS.items()}


def verdicts(breaches: dict[str, list[str]]) -> dict[str, str]:
    """Pass or fail by invariant."""
    return {name: "fail" if found else "pass" for name, found in breaches.items()}


def nothing_lost(evidence: Evidence) -> Iterable[str]:
    """I1."""
    yield from _legs_accounted_for(evidence)
    yield from _postings_accounted_for(evidence)
    for topic in INPUTS:
        yield from _readable_or_quarantined(evidence, topic)


def _legs_accounted_for(evidence: Evidence) -> Iterable[str]:
    places = _places_of_legs(evidence)
    for name, leg in _legs(evidence).items():
        if places[name] != 1 and not (leg.cents == 0 and places[name] == 0):
            yield f"leg {name} is in {places[name]} places (a trade, waiting, refused), not in one"


def _places_of_legs(evidence: Evidence) -> Counter[str]:
    traded = [name for pair in evidence.connection.execute(LIVE_TRADES) for name in pair]
    newest = {leg["leg_id"]: leg["state"] for leg in _messages(evidence, "legs.waiting")}
    waiting = [name for name, state in newest.items() if state in ("waiting", "pending", "too_old")]
    final = {refusal["leg_id"] for refusal in _messages(evidence, "legs.refused") if refusal["reason"] != "conflict"}
    return Counter(traded) + Counter(waiting) + Counter(sorted(final - set(traded) - set(waiting)))


def _postings_accounted_for(evidence: Evidence) -> Iterable[str]:
    flows = set(evidence.connection.execute(BOOKED_FLOWS))
    fills = set(evidence.connection.execute(BOOKED_FILLS))
    missing = [f["id"] for f in _messages(evidence, VENUE_CASHFLOWS.name) if (f["venue"], f["id"]) not in flows]
    missing += [f["id"] for f in _messages(evidence, VENUE_FILLS.name) if (f["venue"], f["sequence"]) not in fills]
    if len(missing) > _rejected_count(evidence):
        yield f"{len(missing)} fills and cash flows are not in the ledger, such as {missing[0]}"


def _rejected_count(evidence: Evidence) -> int:
    row = evidence.connection.execute("SELECT count(*) FROM ledger.reject").fetchone()
    return int(row[0]) if row else 0


def _readable_or_quarantined(evidence: Evidence, topic: Topic) -> Iterable[str]:
    query = 'SELECT partition, "offset" FROM treasury.quarantine WHERE topic = %s'
    kept = {(partition, offset) for partition, offset in evidence.connection.execute(query, (topic.name,))}
    for (_, partition), message in evidence.peek.everything(topic.name):
        if (partition, message.offset) not in kept and _read(topic.model, message.value) is None:
            yield f"{topic.name}[{partition}]@{message.offset} cannot be read and is not in quarantine"


def nothing_double(evidence: Evidence) -> Iterable[str]:
    """I2."""
    legs = _legs(evidence)
    booked = [pair for pair in evidence.connection.execute(LIVE_TRADES) if pair[0] in legs or pair[1] in legs]
    expected = set(_trades_implied(legs.values()))
    for pair, count in Counter(booked).items():
        if count > 1:
            yield f"the trade {pair} is booked {count} times"
    for pair in sorted(expected - set(booked)):
        yield f"the trade {pair} is implied by the messages and not booked"
    for pair in sorted(set(booked) - expected):
        yield f"the trade {pair} is booked and not implied by the messages"


def _trades_implied(legs: Iterable[Leg]) -> Iterable[tuple[str, str]]:
    by_key: dict[str, list[Leg]] = defaultdict(list)
    for leg in legs:
        if leg.status == "SUCCESS" and leg.cents:
            by_key[pairing_key(leg)].append(leg)
    return [(btc.id, usd.id) for key in by_key for btc, usd in match_closest(by_key[key])]


def _legs(evidence: Evidence) -> dict[str, Leg]:
    """The legs that the messages tell of: the first word on each, with its best status."""
    legs: dict[str, Leg] = {}
    for _, message in sorted(evidence.peek.everything(DEALER_TRANSACTIONS.name), key=lambda pair: pair[1].at_ms):
        read = _read(DealerTransaction, message.value)
        if isinstance(read, DealerTransaction):
            leg = leg_from(read)
            first = legs.setdefault(leg.id, leg)
            if leg._replace(status=first.status) == first and _RANK[leg.status] > _RANK[first.status]:
                legs[leg.id] = leg
    return legs


_RANK = {"PENDING": 0, "FAILURE": 1, "SUCCESS": 2}


def balanced(evidence: Evidence) -> Iterable[str]:
    """I3."""
    for tx_id, currency, layer in evidence.connection.execute(UNBALANCED):
        yield f"transaction {tx_id} does not balance in {currency}, layer {layer}"


def balances_equal_history(evidence: Evidence) -> Iterable[str]:
    """I4."""
    for account_id, currency in evidence.connection.execute(BALANCES_OFF):
        yield f"the balance of account {account_id} in {currency} is not the sum of its entries"
    for account_id, currency, version in evidence.connection.execute(RUNNING_OFF):
        yield f"entry {version} of account {account_id} in {currency} does not go on from the one before it"


def one_in_flight(evidence: Evidence) -> Iterable[str]:
    """I7."""
    for table, name in (("venue_order", "client_order_id"), ("venue_transfer", "client_transfer_id")):
        for (client_id,) in evidence.connection.execute(OVERLAPPING.format(table=table, id=name)):
            yield f"{client_id} was reserved while another one was open"


def orders_have_decisions(evidence: Evidence) -> Iterable[str]:
    """I8."""
    rows = {row[0]: row[1:] for row in evidence.connection.execute(ORDERS)}
    at_exchange = _orders_at(evidence.exchange) if evidence.exchange else None
    for name, (state, decided) in rows.items():
        if not decided:
            yield f"order {name} has no decision"
        if at_exchange is not None and state not in NEVER_THERE and name not in at_exchange:
            yield f"order {name} is {state} here and not known at the exchange"
    for name in sorted((at_exchange or set()) - rows.keys()):
        yield f"order {name} is at the exchange and was never reserved"


def _orders_at(exchange: HttpExchange) -> set[str]:
    found: set[str] = set()
    after = 0
    while events := exchange.events(after, PAGE):
        found |= {event.client_order_id for event in events if isinstance(event, OrderChanged)}
        after = events[-1].sequence
    return found


def _read(model: type[Message], raw: bytes) -> Message | None:
    try:
        return model.model_validate_json(raw)
    except ValueError:
        return None


def _messages(evidence: Evidence, topic: str) -> list[dict[str, Any]]:
    parsed = []
    for _, message in evidence.peek.everything(topic):
        try:
            parsed.append(json.loads(message.value))
        except ValueError:
            continue
    return [message for message in parsed if isinstance(message, dict)]


CHECKS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "I1": nothing_lost,
    "I2": nothing_double,
    "I3": balanced,
    "I4": balances_equal_history,
    "I7": one_in_flight,
    "I8": orders_have_decisions,
}
