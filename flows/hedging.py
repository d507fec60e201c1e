"""Liability, prices, positions and balances in; hedge and funding decisions, orders and transfers out.

booked balances --+
market.ticks -----+
venue.positions --+-> decide (a desk per book) -> record -> decisions, orders, transfers
venue.balances ---+
venue.orders -----+
venue.transfers --+
facts.corrections +
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bytewax.dataflow import Dataflow

from domain import topics
from domain.hedging.decisions import Keep
from domain.hedging.desk import Saying
from domain.hedging.desks import Desks
from domain.hedging.policy import Book
from domain.messages.ledger import LedgerBalance
from domain.messages.venue import OrderReport
from flows.edges import Edges, Told, tell
from operators.decisions import record_decisions
from operators.streams.feeds import Feed, Raw, Read, read, together
from operators.streams.machines import Kind, machine

FACTS = (
    topics.MARKET_TICKS,
    topics.VENUE_POSITIONS,
    topics.VENUE_BALANCES,
    topics.VENUE_TRANSFERS,
    topics.FACTS_CORRECTIONS,
)
INPUTS = (topics.LEDGER_BALANCES, topics.VENUE_ORDERS, *FACTS)
DESKS = ("desk-00",)


@dataclass(frozen=True)
class Setup:
    """The books and how each of them decides, and who keeps what was decided."""

    books: Sequence[Book]
    open_decisions: Callable[[], Keep]


class Hedging(NamedTuple):
    """Decisions, orders and transfers, committed; and what is told."""

    decided: Feed[Saying]
    told: Told


def build(raw: Raw, balances: Feed[LedgerBalance], orders: Read[OrderReport], own: Setup, *, joined: bool) -> Hedging:
    """Decide on what `raw` brings, on what became of `orders`, and on `balances`: the booked feed, if the ledger is joined,
    or its topic read back."""
    facts = [orders, *(read(raw, topic) for topic in FACTS)]
    kind = Kind(Desks.version, lambda snapshot: Desks(own.books, snapshot, joined=joined))
    known = together("facts", balances, *(fact.good for fact in facts))
    decided = record_decisions("record", machine("decide", known, DESKS, lambda _: "", kind), own.open_decisions)
    return Hedging(decided, tell("desk", [decided], facts, {}))


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself, joined to topics on both sides."""
    dataflow = Dataflow("hedging")
    raw = edges.read("topics", dataflow, INPUTS)
    balances = read(raw, topics.LEDGER_BALANCES)
    hedging = build(raw, balances.good, read(raw, topics.VENUE_ORDERS), own, joined=False)
    edges.tell(hedging.told._replace(unreadable=(balances.bad, *hedging.told.unreadable)))
    return dataflow
