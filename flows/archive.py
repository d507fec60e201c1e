"""Every topic as it is, and the books beside it, into a folder that anybody can read.

    all topics (nothing is decoded) -> folder
    Postgres ------------------------> folder, when an epoch ends

The folder is the only state: reading begins where it ends, so the flow is run without saved state of its own.
"""

from dataclasses import dataclass

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.outputs import Sink

from domain import topics
from domain.streams.records import RawBatch
from flows.edges import Edges

INPUTS = topics.ALL


@dataclass(frozen=True)
class Setup:
    """What keeps messages, and the books that go with them."""

    keeper: Sink[tuple[str, RawBatch]]


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself: nothing of it is told to anybody."""
    dataflow = Dataflow("archive")
    raw = edges.read("topics", dataflow, INPUTS)
    op.output("to_folder", op.map("to_keeper", raw.stream, lambda batch: ("keeper", batch)), own.keeper)
    return dataflow
