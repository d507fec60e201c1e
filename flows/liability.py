"""Dealer transactions and what the exchange did in, postings out; and the books that they go to.

dealer.transactions -> read -> recall -> pair (one book) -> trades -------+
venue.fills, venue.orders -> read -> explain (one book) ------------------+-> postings -> book
venue.cashflows -> read --------------------------------------------------+
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bytewax.dataflow import Dataflow

from domain import topics
from domain.ledger.journal import History, Transaction
from domain.messages.venue import OrderReport
from domain.pairing.book import Rule
from domain.pairing.booked import BookedLegs
from domain.postings.trades import post_effect
from domain.postings.venue import post_cash_flow, post_fill
from domain.venue.fills import FillBook
from flows import ledger
from flows.edges import Edges, Told, tell
from operators import announce
from operators.legs import arrival_from, quick_arrival
from operators.pairing import pairing
from operators.recall import Memory, recall
from operators.streams.feeds import Feed, Raw, read, read_as, remade, together
from operators.streams.machines import Kind, machine

PAIRS = ("pair-00",)
FILLS = ("explain-00",)
INPUTS = (
    topics.DEALER_TRANSACTIONS,
    topics.VENUE_ORDERS,
    topics.VENUE_FILLS,
    topics.VENUE_CASHFLOWS,
    topics.LEDGER_CROSSINGS,
)


@dataclass(frozen=True)
class Setup:
    """The pairing rule, what it remembers by itself, when a waiting leg is too old, who is asked for what it does not
    remember, and what need not be asked about; the shards of the ledger that the postings go to; and who says until when
    the legs came of which an earlier run may have told that they wait."""

    rule: Rule
    memory: Memory
    leg_age_max_ms: int
    open_history: Callable[[], History]
    booked: BookedLegs
    shards: Sequence[ledger.Setup]
    told_until_ms: Callable[[], int] = lambda: 0


class Liability(NamedTuple):
    """What is to be booked, and what is told."""

    postings: Feed[Transaction]
    told: Told


def build(raw: Raw, orders: Feed[OrderReport], own: Setup) -> Liability:
    """Turn what dealer and exchange say into postings; `raw` brings the facts, and may bring other topics."""
    legs = read_as(raw, topics.DEALER_TRANSACTIONS, arrival_from, quick_arrival)
    fills = read(raw, topics.VENUE_FILLS)
    cash_flows = read(raw, topics.VENUE_CASHFLOWS)

    arrivals = recall("recall", legs.good, own.open_history, own.memory, own.booked)
    kind = pairing(own.rule, own.leg_age_max_ms, own.memory.span_ms, own.told_until_ms)
    paired = machine("pair", arrivals, PAIRS, lambda _: "", kind)

    executed = together("executed", orders, fills.good)
    explained = machine("explain", executed, FILLS, lambda _: "", Kind(FillBook.version, FillBook))

    postings = together(
        "postings",
        remade("post_trades", paired, post_effect),
        remade("post_fills", explained, post_fill),
        remade("post_cash_flows", cash_flows.good, post_cash_flow),
    )
    told = tell("pairing", [paired, explained], [legs, fills, cash_flows], {**announce.PAIRING, **announce.FILLS})
    return Liability(postings, told)


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself with its ledger, joined to topics on both sides."""
    dataflow = Dataflow("liability")
    raw = edges.read("topics", dataflow, INPUTS)
    orders = read(raw, topics.VENUE_ORDERS)
    liability = build(raw, orders.good, own)
    booked = ledger.build("book", raw, liability.postings, own.shards)
    told = liability.told
    edges.tell(told._replace(unreadable=(orders.bad, *told.unreadable)), booked.told)
    return dataflow
