"""Flows, thresholds and what providers say in; levels, decisions, jobs and requests to providers out.

treasury.flows ---------------------------------+-> postings -> book (a shard of its own) -> balances, verdicts -+
treasury.conversions -> explain (one book) -----+                                                                |
provider.events -------^                                                                                         v
treasury.flows, .thresholds, .obligations, provider.config, .events, .reports, .cancels,       decide (one desk) <-
ops.controls, gov.approvals -----------------------------------------------------------------> |
                                   record (Postgres) <-----------------------------------------+
                                     +-> treasury.decisions, .jobs, .windows, .levels, provider.health
                                     +-> reserve (outbox) ... gateway -> provider.events, provider.reports
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import bytewax.operators as op
from bytewax.dataflow import Dataflow

from domain import topics
from domain.messages.fields import Message
from domain.messages.ops import Alert
from domain.postings.buffers import post_conversion, post_flow
from domain.streams.records import Record, Snapshot
from domain.treasury.conversions import ConversionBook, ConversionDoubted
from domain.treasury.desk import Past, TreasuryDesk
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.records import Records
from domain.treasury.telling import alert
from flows import execution, ledger
from flows.edges import Edges, Told, tell
from operators.streams.feeds import Feed, Raw, read, remade, together
from operators.streams.machines import Kind, machine
from operators.treasury import recorded

CONVERSIONS = ("conversions-00",)
DESKS = ("treasury-00",)
INPUTS = (*topics.OF_TREASURY, topics.LEDGER_CROSSINGS)


@dataclass(frozen=True)
class Setup:
    """How the treasury acts, its shard of the ledger, who keeps what it says, who carries it out, and what it is told of an
    earlier life when it starts."""

    policy: TreasuryPolicy
    ledger: ledger.Setup
    open_records: Callable[[], Records]
    execution: execution.Setup
    past: Callable[[], Past] = Past


class Treasury(NamedTuple):
    """Decisions, jobs and requests, committed; and what is told."""

    decided: Feed[Message]
    told: tuple[Told, ...]


def build(raw: Raw, own: Setup) -> Treasury:
    """Book what moves, and decide on what `raw` brings; a replay runs this much and asks nobody for anything."""
    flows, requests, events = (
        read(raw, topic) for topic in (topics.TREASURY_FLOWS, topics.TREASURY_CONVERSIONS, topics.PROVIDER_EVENTS)
    )
    terms = [read(raw, topic) for topic in (topics.TREASURY_THRESHOLDS, topics.PROVIDER_CONFIG)]
    words = [
        read(raw, topic)
        for topic in (
            topics.TREASURY_OBLIGATIONS,
            topics.PROVIDER_REPORTS,
            topics.PROVIDER_CANCELS,
            topics.OPS_CONTROLS,
            topics.GOV_APPROVALS,
        )
    ]
    asked = together("conversion_words", requests.good, events.good)
    kind = Kind(ConversionBook.version, ConversionBook)
    explained = machine("explain_conversions", asked, CONVERSIONS, lambda _: "", kind)
    postings = together(
        "buffer_postings",
        remade("post_flows", flows.good, post_flow),
        remade("post_conversions", explained, post_conversion),
    )
    booked = ledger.build("book_buffers", raw, postings, [own.ledger])
    known = recorded("record_terms", together("terms", *(one.good for one in terms)), own.open_records)
    facts = together("treasury_facts", booked.answers, known, flows.good, events.good, *(one.good for one in words))
    desk = Kind(TreasuryDesk.version, partial(_desk, own))
    said = machine("decide_buffers", facts, DESKS, lambda _: "", desk)
    decided = recorded("record_treasury", said, own.open_records)
    told = tell("treasury", [decided, explained], [flows, requests, events, *terms, *words], {ConversionDoubted: doubted})
    return Treasury(decided, (booked.told, told))


def _desk(own: Setup, snapshot: Snapshot | None) -> TreasuryDesk:
    return TreasuryDesk(own.policy, snapshot, own.past())


def doubted(record: Record[ConversionDoubted]) -> list[Alert]:
    """Return what a person should look at of what a provider says."""
    event, what, why = record.value
    return [alert(what, f"{event.client_conversion_id} {event.provider_tx_id}", why, record.at_ms)]


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow with its ledger and its requests, joined to topics on both sides."""
    dataflow = Dataflow("treasury")
    treasury = build(edges.read("topics", dataflow, INPUTS), own)
    heard = op.input("providers", dataflow, own.execution.gateways)
    edges.tell(*treasury.told, execution.build(treasury.decided, heard, own.execution, "reserve_conversions"))
    return dataflow


def replay(edges: Edges, own: Setup) -> Dataflow:
    """Everything but execution: what was decided is said, and nobody is asked."""
    dataflow = Dataflow("treasury_replay")
    edges.tell(*build(edges.read("topics", dataflow, INPUTS), own).told)
    return dataflow
