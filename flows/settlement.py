"""Matched trades in, balances of customers out: what may settle is booked whole, what may not is put aside by name.

settlement.instruments, .fees, .customers -> record terms --+
settlement.flows, .corrections, .replays, gov.approvals ----+-> settle (one desk) -> record refusals -> post -> book (shard 8)
orders.locks -----------------------------------------------+                                                  |
trades.matched ---------------------------------------------+                           settlement.results <---+

All words share one horizon of stream time, so which came first does not depend on who read them. What was decided is taken as
it was decided when it is read again (docs/adr/0036), and an epoch ends with all of it booked that was decided in it, so whoever
asks for balances at the next start misses nothing. Nothing else arrives on the shard, so the desk knows of all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from bytewax.dataflow import Dataflow

from domain import topics
from domain.postings.settlement import post_settlement
from domain.settlement.answers import Books
from domain.settlement.desk import LockAsked, MoneyAsked, Refused, SettlementDesk, Trouble
from domain.settlement.records import Records
from domain.settlement.results import Settled, settled
from domain.streams.records import Snapshot
from flows import ledger
from flows.edges import Edges, Told, tell
from operators import announce
from operators.ledger import book
from operators.settlement import refusals_kept, terms_kept
from operators.streams.feeds import Raw, read, remade, together
from operators.streams.machines import Kind, machine

DESKS = ("settle-00",)
TERMS = (topics.SETTLEMENT_INSTRUMENTS, topics.SETTLEMENT_FEES, topics.SETTLEMENT_CUSTOMERS)
INPUTS = (*topics.OF_SETTLEMENT, topics.GOV_APPROVALS)


@dataclass(frozen=True)
class Setup:
    """Its shard of the ledger, who is asked what customers have and what was decided before, and who keeps records."""

    ledger: ledger.Setup
    open_books: Callable[[], Books]
    open_records: Callable[[], Records]


class Settlement(NamedTuple):
    """What is told."""

    told: tuple[Told, ...]


def build(raw: Raw, own: Setup) -> Settlement:
    """Decide on what `raw` brings, and book it."""
    words = {topic: read(raw, topic) for topic in INPUTS}
    terms = together("settlement_terms", *(words[topic].good for topic in TERMS))
    kept = terms_kept("record_terms", terms, own.open_records)
    facts = together("settlement_words", kept, *(words[topic].good for topic in INPUTS if topic not in TERMS))
    desk = Kind(SettlementDesk.version, partial(_desk, own), expect=SettlementDesk.expect)
    asked = machine("settle", facts, DESKS, lambda _: "", desk)
    said = refusals_kept("record_refusals", asked, own.open_records)
    posted = remade("post_settlement", said, post_settlement)
    name, at = "book_settlement", own.ledger
    booked = book(name, name, posted, at.shard, at.open_ledger, at.watched, at.window_ms, whole=True, say=settled)
    refused = dict.fromkeys((Refused, LockAsked, MoneyAsked), announce.refused_word)
    told = tell("settlement", [said], list(words.values()), {**refused, Trouble: announce.symbol_stands})
    results = tell("settled", [booked], [], {Settled: announce.settled})
    return Settlement((told, results))


def _desk(own: Setup, snapshot: Snapshot | None) -> SettlementDesk:
    books = own.open_books()
    return SettlementDesk(books) if snapshot is None else SettlementDesk.restore(snapshot, books)


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow with its ledger, joined to topics on both sides; a replay runs the same."""
    dataflow = Dataflow("settlement")
    edges.tell(*build(edges.read("topics", dataflow, INPUTS), own).told)
    return dataflow
