"""Liability, prices, positions and balances in; hedge and funding decisions, orders and transfers out.

booked balances --+
market.ticks -----+
venue.positions --+-> decide (one desk per venue account) -> record -> decisions, orders, transfers
venue.balances ---+
venue.orders -----+
venue.transfers --+
"""

from collections.abc import Sequence
from dataclasses import dataclass

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream

from domain import topics
from domain.desk import Desk
from domain.streams import Outgoing, Progress, RawBatch, source_name
from flows.parts import Parts, output_messages, output_unreadable
from operators import announce
from operators.decode import decode_topic
from operators.machines import run_machine
from operators.publish import publish, publish_rejections
from operators.recording import record_decisions
from operators.routing import gather, ungrouped, without_rejections

FACTS = (
    topics.MARKET_TICKS,
    topics.VENUE_POSITIONS,
    topics.VENUE_BALANCES,
    topics.VENUE_ORDERS,
    topics.VENUE_TRANSFERS,
)
INPUTS = (topics.LEDGER_BALANCES, *FACTS)
DESK_SHARD = "desk-00"


@dataclass(frozen=True)
class HedgingOut:
    """`decided` carries decisions, orders and transfers; `unreadable` rejections; `outgoing` what goes to topics."""

    decided: KeyedStream[Progress]
    unreadable: Stream[Progress]
    outgoing: Stream[Outgoing]


def build(balances: Stream[Progress], liability_sources: Sequence[str], raw: Stream[RawBatch], parts: Parts) -> HedgingOut:
    """Join the steps; `balances` is the booked stream, or the topic of balances read back, made of `liability_sources`."""
    read = {topic: decode_topic(f"read_{topic.name.replace('.', '_')}", raw, topic) for topic in FACTS}
    facts = [without_rejections(f"good_{topic.name.replace('.', '_')}", stream) for topic, stream in read.items()]
    sources = [*liability_sources, *(source_name(*partition) for partition in parts.partitions_of(FACTS))]
    to_desk = gather("to_desk", op.merge("facts", balances, *facts), DESK_SHARD)
    taken = run_machine("decide", to_desk, "decide", sources, lambda snapshot: Desk(parts.policy, snapshot))
    decided = record_decisions("record", taken, parts.open_decisions)
    return HedgingOut(
        decided, op.merge("unreadable_facts", *read.values()), _announce(read, ungrouped("desk_says", decided))
    )


def _announce(read: dict[topics.Topic, Stream[Progress]], decided: Stream[Progress]) -> Stream[Outgoing]:
    return op.merge(
        "hedging_outgoing",
        publish("decisions", decided, topics.HEDGING_DECISIONS, announce.decision),
        publish("orders", decided, topics.HEDGING_ORDERS, announce.order),
        publish("transfers", decided, topics.HEDGING_TRANSFERS, announce.transfer),
        publish("desk_alerts", decided, topics.ALERTS, announce.alert),
        *(publish_rejections(f"bad_{topic.name.replace('.', '_')}", stream, topic) for topic, stream in read.items()),
    )


def flow(parts: Parts) -> Dataflow:
    """The flow by itself, joined to topics on both sides."""
    dataflow = Dataflow("hedging")
    raw = op.input("topics", dataflow, parts.source(INPUTS))
    balances = decode_topic("read_balances", raw, topics.LEDGER_BALANCES)
    sources = [source_name(*partition) for partition in parts.partitions_of((topics.LEDGER_BALANCES,))]
    out = build(without_rejections("good_balances", balances), sources, raw, parts)
    output_messages(parts, out.outgoing)
    output_unreadable(parts, out.unreadable)
    return dataflow
