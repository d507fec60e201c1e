"""Orders and transfers in, what became of them out.

    hedging.orders, hedging.transfers -> reserve (Postgres) -> venue.orders, venue.transfers
    gateway (sends what is reserved, asks the exchange)     -> venue.*

The two halves meet in the database: the gateway sends what is reserved there, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.inputs import Source

from domain import topics
from domain.messages.fields import Message
from domain.outbox.slots import Reservations
from flows.edges import Edges, Told, tell
from operators.outbox import reserve
from operators.streams.feeds import Feed, read, together
from operators.streams.publish import outgoing

INPUTS = (topics.HEDGING_ORDERS, topics.HEDGING_TRANSFERS)


@dataclass(frozen=True)
class Setup:
    """Who reserves, and the gateways that send what is reserved and tell what they hear."""

    open_reservations: Callable[[], Reservations]
    gateways: Source[Message]


def build(wanted: Feed[Any], heard: Stream[Message], own: Setup, name: str = "reserve") -> Told:
    """Reserve the requests among `wanted`, in a step of that name, and tell what the gateways `heard`."""
    refused = reserve(name, wanted, own.open_reservations)
    # Whatever comes from outside says as of when it is so.
    told = op.map("outside_says", heard, lambda message: outgoing(message, getattr(message, "as_of")))  # noqa: B009
    return tell("reserving", [refused], [], {}, told)


def flow(edges: Edges, own: Setup) -> Dataflow:
    """The flow by itself, joined to topics on both sides."""
    dataflow = Dataflow("execution")
    raw = edges.read("topics", dataflow, INPUTS)
    reads = [read(raw, topic) for topic in INPUTS]
    told = build(together("wanted", *(one.good for one in reads)), op.input("venue", dataflow, own.gateways), own)
    edges.tell(told._replace(unreadable=tuple(one.bad for one in reads)))
    return dataflow
