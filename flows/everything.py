"""All flows in one process, joined stream to stream: a trade is paired, booked and hedged without a hop through the broker.

What comes back from the exchange goes through its topics, because a dataflow has no cycles.
"""

from dataclasses import dataclass
from typing import NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from domain import topics
from flows import execution, hedging, ledger, liability
from flows.edges import Edges, Told
from operators.streams.feeds import Raw, read

INPUTS = (*liability.INPUTS, *hedging.FACTS)
SINGLES_AT_ONCE = 64
"""So few single postings are taken at a time that a backlog of them leaves the thread to trades and decisions."""


@dataclass(frozen=True)
class Setup:
    """The setups of the flows that are joined; `singles` is that of the ledger's own flow. A replay has the first two."""

    liability: liability.Setup
    hedging: hedging.Setup
    execution: execution.Setup
    singles: ledger.Setup


class Decided(NamedTuple):
    """What hedging decided, and what the flows up to there tell."""

    hedging: hedging.Hedging
    told: tuple[Told, ...]


def decide_and_book(raw: Raw, of_liability: liability.Setup, of_hedging: hedging.Setup) -> Decided:
    """From messages to decisions; a replay runs this much and sends nothing."""
    orders = read(raw, topics.VENUE_ORDERS)
    owed = liability.build(raw, orders.good, of_liability)
    booked = ledger.build("book", raw, owed.postings, of_liability.shards)
    hedged = hedging.build(raw, booked.balances, orders, of_hedging, joined=True)
    return Decided(hedged, (owed.told, booked.told, hedged.told))


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The whole treasury."""
    dataflow = Dataflow("everything")
    decided = decide_and_book(edges.read("topics", dataflow, INPUTS), own.liability, own.hedging)
    executed = execution.build(decided.hedging.decided, op.input("venue", dataflow, own.execution.gateways), own.execution)
    # With topics of their own, and so a horizon of their own: postings that pile up hold back nobody else.
    singles = ledger.singles(edges.read("singles", dataflow, ledger.INPUTS, at_most=SINGLES_AT_ONCE), own.singles)
    edges.tell(*decided.told, executed, singles)
    return dataflow


def replay(edges: Edges, of_liability: liability.Setup, of_hedging: hedging.Setup) -> Dataflow:
    """Everything but execution: what was decided is said, and nothing is sent."""
    dataflow = Dataflow("replay")
    edges.tell(*decide_and_book(edges.read("topics", dataflow, INPUTS), of_liability, of_hedging).told)
    return dataflow
