"""Checks promises against what is left, independently of the flows that kept them.

    I1 nothing lost        every message is in a trade (booked, rejected by the ledger, or taken back by a person), waiting,
                           refused, in quarantine, or a fact that a newer one replaced; a fill of ours is in the position
    I2 nothing double      the trades of the ledger are those that the messages imply, each once
    I3 balanced            every transaction, per currency and layer
    I4 balances            equal the sum of their entries, on both sides of every layer, without a gap in the versions
    I7 one in flight       no two requests, such as orders, were ever open at once in a slot; each is what its changes tell
    I8 orders              every order at the exchange has one decision, and every order that was sent is known there

Where the settlement has run, what it promises is judged, too (`app/reports/settlement/promises.py`).
The topics are read again from their beginning, the ledger by SQL, the exchange by its own history of events.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, closing
from typing import Any, NamedTuple, TypeVar

import stamina

from app.places.places import Places
from app.reports.said import read_or_none, said
from app.reports.settlement.promises import check_settlement
from connectors.answers import Unknown
from connectors.kafka.peek import Peek
from connectors.venue.port import Exchange
from connectors.venue.simulated.client import HttpExchange
from domain.errors import ConfigError
from domain.messages.fields import Message
from domain.outbox.kinds import ORDER
from domain.outbox.lifecycle import UNANSWERED
from domain.pairing.legs import Leg, leg_from, pairing_key
from domain.pairing.match import match_closest
from domain.streams.records import RawMessage
from domain.templates.exchange_position import (
    DECREASE_EXCHANGE_POSITION,
    FILL_BOUGHT,
    FILL_SOLD,
    INCREASE_EXCHANGE_POSITION,
)
from domain.topics import (
    DEALER_TRANSACTIONS,
    GOV_APPROVALS,
    LEGS_REFUSED,
    LEGS_WAITING,
    OF_SETTLEMENT,
    OF_TREASURY,
    TOPICS,
    VENUE_CASHFLOWS,
    VENUE_FILLS,
    Topic,
)
from domain.venue.account import OrderChanged
from sinks.postgres import Connection, connect

M = TypeVar("M", bound=Message)

EXAMPLES_MAX = 5
PAGE = 1000
ASKED_MAX = 8
"""An exchange that is busy for a moment is asked again so often."""

LIVE_TRADES = """
SELECT meta -> 'btc_leg' ->> 'id', meta -> 'usd_leg' ->> 'id' FROM ledger.transactions
WHERE template IN ('USER_BUYS_USD', 'USER_SELLS_USD') AND reversed_by IS NULL
"""
TAKEN_BACK = """
SELECT o.meta -> 'btc_leg' ->> 'id', o.meta -> 'usd_leg' ->> 'id' FROM ledger.tx r JOIN ledger.tx o ON o.tx_id = r.cause_tx_id
WHERE r.source = 'console/reversals' AND o.template IN ('USER_BUYS_USD', 'USER_SELLS_USD')
"""
NOT_BOOKED = """
SELECT r.payload -> 'meta' -> 'btc_leg' ->> 'id', r.payload -> 'meta' -> 'usd_leg' ->> 'id' FROM ledger.reject r
WHERE r.template IN ('USER_BUYS_USD', 'USER_SELLS_USD') AND NOT EXISTS (
    SELECT FROM ledger.tx t WHERE t.source = 'console/rebookings' AND t.meta ->> 'rebooks' = r.tx_id::TEXT
)
"""
JUDGED = """
SELECT j.template, j.meta ->> 'venue', j.meta ->> %(name)s FROM (
    SELECT template, meta FROM ledger.tx UNION ALL SELECT template, payload -> 'meta' FROM ledger.reject
) j WHERE j.meta -> %(name)s IS NOT NULL
"""
"""What an exchange names by an id, and the ledger has booked or rejected by that name."""
FILLS_OF_OURS = f"""
SELECT f.meta ->> 'venue', f.meta ->> 'event_id' FROM ledger.tx f
JOIN treasury.request r ON (r.kind, r.client_id) = (%s, f.meta ->> 'client_order_id')
WHERE f.template IN ('{FILL_BOUGHT}', '{FILL_SOLD}')
"""  # noqa: S608 - built of constants
STEPS = "SELECT DISTINCT step FROM treasury.gauge"
BESIDE: Mapping[str, Sequence[Topic[Any]]] = {
    "book_buffers": OF_TREASURY,
    "book_settlement": (*OF_SETTLEMENT, GOV_APPROVALS),
}
"""What flows read that need not run, by a step that says that they have."""
UNBALANCED = """
SELECT tx_id::text, currency, layer FROM ledger.entry
GROUP BY tx_id, currency, layer HAVING sum(side * amount) <> 0 LIMIT 5
"""
_SUMMED = {
    f"{layer}_{column}": f"coalesce(sum(amount) FILTER (WHERE layer = {number} AND side = {side}), 0)"
    for number, layer in enumerate(("settled", "pending", "encumbered"), 1)
    for column, side in (("debit", 1), ("credit", -1))
}
BALANCES_OFF = f"""
SELECT account_id, currency FROM ledger.balance b FULL JOIN (
    SELECT account_id, currency, count(*) AS n, max(version) AS last,
        {", ".join(f"{summed} AS {total}" for total, summed in _SUMMED.items())}
    FROM ledger.entry GROUP BY account_id, currency
) e USING (account_id, currency)
WHERE (b.version, b.version, {", ".join(f"b.{total}" for total in _SUMMED)})
    IS DISTINCT FROM (coalesce(e.n, 0), coalesce(e.last, 0), {", ".join(f"coalesce(e.{total}, 0)" for total in _SUMMED)})
LIMIT 5
"""  # noqa: S608 - built of constants
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
    SELECT client_id, reserved_at,
        max(coalesce(finished_at, 'infinity')) OVER (
            PARTITION BY slot ORDER BY reserved_at, client_id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS busy_until
    FROM treasury.request WHERE slot IS NOT NULL
) r WHERE reserved_at < busy_until LIMIT 5
"""
UNTOLD = """
SELECT r.client_id, r.state FROM treasury.request r LEFT JOIN LATERAL (
    SELECT c.state, c.filled, c.sequence, c.reason FROM treasury.request_change c
    WHERE (c.kind, c.client_id) = (r.kind, r.client_id) ORDER BY c.id DESC LIMIT 1
) t ON TRUE
WHERE (r.state, r.filled, r.sequence, r.reason) IS DISTINCT FROM (t.state, t.filled, t.sequence, t.reason) LIMIT 5
"""
ORDERS = """
SELECT r.client_id, r.state, d.id IS NOT NULL FROM treasury.request r
LEFT JOIN treasury.decision d ON d.id = r.decision_id WHERE r.kind = %s
"""
PERHAPS_NOT_THERE = UNANSWERED.keys() | {ORDER.refused, ORDER.never}


class Evidence(NamedTuple):
    """Where to look."""

    connection: Connection
    peek: Peek
    exchanges: Sequence[Exchange]


def check_invariants(places: Places, venue_urls: Mapping[str, str]) -> dict[str, list[str]]:
    """Breaches by invariant, a few sentences each; an empty list is a pass."""
    with ExitStack() as stack:
        peek = stack.enter_context(closing(Peek(places.kafka)))
        connection = stack.enter_context(connect(places.dsn, "reader", "invariants"))
        exchanges = [stack.enter_context(closing(HttpExchange(url, 5))) for url in venue_urls.values()]
        evidence = Evidence(connection, peek, exchanges)
        found = {name: list(check(evidence))[:EXAMPLES_MAX] for name, check in CHECKS.items()}
    return found | check_settlement(places)


def verdicts(breaches: dict[str, list[str]]) -> dict[str, str]:
    """Pass or fail by invariant."""
    return {name: "fail" if found else "pass" for name, found in breaches.items()}


def nothing_lost(evidence: Evidence) -> Iterable[str]:
    """I1."""
    yield from _legs_accounted_for(evidence)
    yield from _postings_accounted_for(evidence)
    for topic in _read(evidence):
        yield from _readable_or_quarantined(evidence, topic)


def _read(evidence: Evidence) -> list[Topic[Any]]:
    """Return the topics that flows read; what only flows read that need not run, where one of them has."""
    have_run = {step for (step,) in evidence.connection.execute(STEPS)}
    awake = {topic.name for step, topics in BESIDE.items() if step in have_run for topic in topics}
    asleep = {topic.name for topics in BESIDE.values() for topic in topics} - awake
    return [topic for topic in TOPICS if topic.direction != "out" and topic.name not in asleep]


def _legs_accounted_for(evidence: Evidence) -> Iterable[str]:
    places = _places_of_legs(evidence)
    for name, leg in _legs(evidence).items():
        if places[name] != 1 and not (leg.cents == 0 and places[name] == 0):
            yield f"leg {name} is in {places[name]} places (a trade, waiting, refused, rejected, taken back), not in one"


def _places_of_legs(evidence: Evidence) -> Counter[str]:
    traded = [name for pair in evidence.connection.execute(LIVE_TRADES) for name in pair]
    newest = last_words(message for _, message in evidence.peek.everything(LEGS_WAITING.name))
    waiting = [name for name, state in newest.items() if state in ("waiting", "pending", "too_old")]
    forgotten = {name for name, state in newest.items() if state is None}
    final = {refusal.leg_id for refusal in said(evidence.peek, LEGS_REFUSED) if refusal.reason != "conflict"}
    by_hand = {name for pair in _pairs_by_hand(evidence) for name in pair}
    elsewhere = (by_hand | final | forgotten) - set(traded) - set(waiting)
    return Counter(traded) + Counter(waiting) + Counter(sorted(elsewhere))


def _pairs_by_hand(evidence: Evidence) -> set[tuple[str, str]]:
    """The legs of trades that the ledger has rejected, or that a person has taken back."""
    return {(btc, usd) for query in (NOT_BOOKED, TAKEN_BACK) for btc, usd in evidence.connection.execute(query)}


def last_words(messages: Iterable[RawMessage]) -> dict[str, str | None]:
    """Return the last state that was said of each leg; None where a tombstone came after it: a person has let that leg go."""
    states: dict[str, str | None] = {}
    for message in messages:
        leg = read_or_none(LEGS_WAITING.model, message.value)
        if leg is not None:
            states[leg.leg_id] = leg.state
        elif message.key and not message.value:
            states[message.key.decode(errors="replace")] = None
    return states


def _postings_accounted_for(evidence: Evidence) -> Iterable[str]:
    flows = {(venue, name) for _, venue, name in _judged(evidence, "flow_id")}
    events = _judged(evidence, "event_id")
    fills = {(venue, name) for template, venue, name in events if template in (FILL_BOUGHT, FILL_SOLD)}
    missing = [
        flow.id for flow in _told(evidence, VENUE_CASHFLOWS) if flow.amount_sats and (flow.venue, flow.id) not in flows
    ]
    missing += [fill.id for fill in _told(evidence, VENUE_FILLS) if (fill.venue, fill.id) not in fills]
    if missing:
        yield f"{len(missing)} fills and cash flows are not in the ledger, such as {missing[0]}"
    moves = (INCREASE_EXCHANGE_POSITION, DECREASE_EXCHANGE_POSITION)
    explained = {(venue, name) for template, venue, name in events if template in moves}
    ours = evidence.connection.execute(FILLS_OF_OURS.encode(), [ORDER.name])
    suspended = [name for venue, name in ours if (venue, name) not in explained]
    if suspended:
        yield f"{len(suspended)} fills of our orders are in suspense and not in the position, such as {suspended[0]}"


def _judged(evidence: Evidence, name: str) -> list[tuple[str, str, str]]:
    """Template, venue and id of all that has this name of an id in its metadata."""
    return list(evidence.connection.execute(JUDGED, {"name": name}))


def _readable_or_quarantined(evidence: Evidence, topic: Topic[Any]) -> Iterable[str]:
    for partition, message in _not_quarantined(evidence, topic):
        if read_or_none(topic.model, message.value) is None:
            yield f"{topic.name}[{partition}]@{message.offset} cannot be read and is not in quarantine with its bytes"


def _not_quarantined(evidence: Evidence, topic: Topic[Any]) -> Iterable[tuple[int, RawMessage]]:
    """What is in quarantine is what the broker has there: other bytes, or another key, are another message."""
    query = 'SELECT partition, "offset", key, raw FROM treasury.quarantine WHERE topic = %s'
    kept = set(evidence.connection.execute(query, (topic.name,)))
    for (_, partition), message in evidence.peek.everything(topic.name):
        if (partition, message.offset, message.key, message.value) not in kept:
            yield partition, message


def _told(evidence: Evidence, topic: Topic[M]) -> Iterable[M]:
    """Yield the messages that count, in the order of their times."""
    for _, message in sorted(_not_quarantined(evidence, topic), key=lambda pair: pair[1].at_ms):
        read = read_or_none(topic.model, message.value)
        if read is not None:
            yield read


def nothing_double(evidence: Evidence) -> Iterable[str]:
    """I2."""
    legs = _legs(evidence)
    booked = [pair for pair in evidence.connection.execute(LIVE_TRADES) if pair[0] in legs or pair[1] in legs]
    expected = set(_trades_implied(legs.values()))
    for pair, count in Counter(booked).items():
        if count > 1:
            yield f"the trade {pair} is booked {count} times"
    for pair in sorted(expected - set(booked) - _pairs_by_hand(evidence)):
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
    """The legs that the messages tell of: of each the word that says most, and of several such the first."""
    legs: dict[str, Leg] = {}
    for message in _told(evidence, DEALER_TRANSACTIONS):
        leg = leg_from(message)
        if leg.id not in legs or _RANK[leg.status] > _RANK[legs[leg.id].status]:
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
    for (client_id,) in evidence.connection.execute(OVERLAPPING):
        yield f"{client_id} was reserved while another one was open"
    for client_id, state in evidence.connection.execute(UNTOLD):
        yield f"{client_id} is {state}, and the newest of its changes does not tell so"


def orders_have_decisions(evidence: Evidence) -> Iterable[str]:
    """I8."""
    rows = {row[0]: row[1:] for row in evidence.connection.execute(ORDERS, [ORDER.name])}
    at_exchange = {name for exchange in evidence.exchanges for name in orders_at(exchange)} if evidence.exchanges else None
    for name, (state, decided) in rows.items():
        if not decided:
            yield f"order {name} has no decision"
        if at_exchange is not None and state not in PERHAPS_NOT_THERE and name not in at_exchange:
            yield f"order {name} is {state} here and not known at the exchange"
    for name in sorted((at_exchange or set()) - rows.keys()):
        yield f"order {name} is at the exchange and was never reserved"


def orders_at(exchange: Exchange) -> set[str]:
    """The orders that the exchange knows; ConfigError when it does not answer, also when it is asked again."""
    try:
        return _orders_among(exchange)
    except Unknown as error:
        msg = f"the exchange does not answer ({error}), so what is known there cannot be checked; is it up?"
        raise ConfigError(msg) from error


@stamina.retry(on=Unknown, attempts=ASKED_MAX, timeout=None, wait_initial=0.05, wait_max=2)
def _orders_among(exchange: Exchange) -> set[str]:
    found: set[str] = set()
    after = 0
    while events := exchange.events(after, PAGE):
        found |= {event.client_order_id for event in events if isinstance(event, OrderChanged)}
        after = events[-1].sequence
    return found


CHECKS: dict[str, Callable[[Evidence], Iterable[str]]] = {
    "I1": nothing_lost,
    "I2": nothing_double,
    "I3": balanced,
    "I4": balances_equal_history,
    "I7": one_in_flight,
    "I8": orders_have_decisions,
}
