"""Statements in, reports and breaks out: what banks, venues and providers say, compared with the books.

recon.statements -> when it is due (a statement came, or a full period) -> compare, record -> recon.reports, recon.exceptions
                                                          books (Postgres) ----^
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from bytewax.dataflow import Dataflow

from domain import topics
from domain.reconciling.records import How, Records
from domain.reconciling.schedule import Schedule
from flows.edges import Edges, Told, tell
from operators.reconciling import reconciled
from operators.streams.feeds import Raw, read
from operators.streams.machines import Kind, machine

INPUTS = (topics.RECON_STATEMENTS,)
SCHEDULES = ("reconcile-00",)


@dataclass(frozen=True)
class Setup:
    """How often all accounts are compared, when this run began, how they are compared, and where statements and books are."""

    every_ms: int
    begins_ms: int
    how: How
    open_records: Callable[[], Records]


def build(raw: Raw, own: Setup) -> Told:
    """Compare what `raw` brings with the books."""
    statements = read(raw, topics.RECON_STATEMENTS)
    kind = Kind(Schedule.version, partial(Schedule, own.every_ms, own.begins_ms))
    due = machine("reconcile", statements.good, SCHEDULES, lambda _: "", kind)
    return tell("reconciling", [reconciled("compare", due, own.open_records, own.how)], [statements], {})


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself."""
    dataflow = Dataflow("reconciling")
    edges.tell(build(edges.read("topics", dataflow, INPUTS), own))
    return dataflow
