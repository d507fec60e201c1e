"""Orders and transfers in, what became of them out.

    hedging.orders, hedging.transfers -> reserve (Postgres) -> venue.orders, venue.transfers
    gateway (sends what is reserved, asks the exchange)     -> venue.*

The two halves meet in the database: the gateway sends what is reserved there, and nothing else.
"""

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream

from domain import topics
from domain.messages import Message
from domain.streams import Outgoing, Progress
from flows.parts import Parts, output_messages, output_unreadable
from operators import announce
from operators.decode import decode_topic
from operators.publish import publish
from operators.reserving import reserve
from operators.routing import gather, ungrouped

INPUTS = (topics.HEDGING_ORDERS, topics.HEDGING_TRANSFERS)


VENUE_SHARD = "venue-00"


def build(wanted: KeyedStream[Progress], from_venue: Stream[tuple[str, Message]], parts: Parts) -> Stream[Outgoing]:
    """`wanted` carries orders and transfers among other things, `from_venue` what the gateway says: topic and message."""
    reserved = ungrouped("slots", reserve("reserve", wanted, parts.open_reservations))
    return op.merge(
        "execution_outgoing",
        publish("order_slots", reserved, topics.VENUE_ORDERS, announce.order_report),
        publish("transfer_slots", reserved, topics.VENUE_TRANSFERS, announce.transfer_report),
        op.map("venue_says", from_venue, announce.from_venue),
    )


def flow(parts: Parts) -> Dataflow:
    """The flow by itself, joined to topics on both sides."""
    dataflow = Dataflow("execution")
    raw = op.input("topics", dataflow, parts.source(INPUTS))
    orders = decode_topic("read_orders", raw, topics.HEDGING_ORDERS)
    transfers = decode_topic("read_transfers", raw, topics.HEDGING_TRANSFERS)
    wanted = gather("to_venue", op.merge("wanted", orders, transfers), VENUE_SHARD)
    output_messages(parts, build(wanted, op.input("venue", dataflow, parts.gateway), parts))
    output_unreadable(parts, op.merge("unreadable_orders", orders, transfers))
    return dataflow
