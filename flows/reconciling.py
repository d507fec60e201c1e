"""Statements in, reports and breaks out: what banks, venues and providers say, compared with the books.

recon.statements -> when it is due (a statement came, or a full period) -> compare, record -> recon.reports, recon.exceptions
                                                          books (Postgres) ----^
balances of customers (Postgres), verified beside it in a thread of its own -> alerts
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source

from domain import topics
from domain.messages.ops import Alert
from domain.reconciling.records import How, Records
from domain.reconciling.schedule import Schedule
from flows.edges import Edges, Told, tell
from operators.reconciling import reconciled
from operators.streams.feeds import Raw, read
from operators.streams.machines import Kind, machine
from operators.streams.publish import outgoing

INPUTS = (topics.RECON_STATEMENTS,)
SCHEDULES = ("reconcile-00",)


@dataclass(frozen=True)
class Setup:
    """How often all accounts are compared, when this run began, how they are compared, and where statements and books are.

    `verifying` tells what is wrong with balances of customers.
    """

    every_ms: int
    begins_ms: int
    how: How
    open_records: Callable[[], Records]
    verifying: Source[Alert]


def build(raw: Raw, heard: Stream[Alert], own: Setup) -> Told:
    """Compare what `raw` brings with the books, and tell what was `heard` of customers' balances."""
    statements = read(raw, topics.RECON_STATEMENTS)
    kind = Kind(Schedule.version, partial(Schedule, own.every_ms, own.begins_ms))
    due = machine("reconcile", statements.good, SCHEDULES, lambda _: "", kind)
    said = op.map("verified", heard, lambda alert: outgoing(alert, alert.as_of))
    return tell("reconciling", [reconciled("compare", due, own.open_records, own.how)], [statements], {}, said)


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself."""
    dataflow = Dataflow("reconciling")
    raw = edges.read("topics", dataflow, INPUTS)
    edges.tell(build(raw, op.input("verifying", dataflow, own.verifying), own))
    return dataflow
