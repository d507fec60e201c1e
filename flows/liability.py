"""Dealer transactions in, booked user trades and the liability out.

dealer.transactions -> read -> recall -> pair (by the second) -> trades --+
venue.fills, venue.cashflows -> read -> postings -------------------------+-> book -> balances, user trades, rejections
"""

from dataclasses import dataclass

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream
from bytewax.operators import KeyedStream

from domain import topics
from domain.accounts import LIABILITY
from domain.legs import leg_from
from domain.streams import Outgoing, Progress, RawBatch, shard_names, source_name
from flows.parts import Parts, output_messages, output_unreadable
from operators import announce, posting
from operators.booking import book
from operators.decode import decode_topic
from operators.pairing import pair_legs
from operators.publish import publish, publish_rejections
from operators.recall import recall
from operators.routing import gather, remade, spread, ungrouped, without_rejections

INPUTS = (topics.DEALER_TRANSACTIONS, topics.VENUE_FILLS, topics.VENUE_CASHFLOWS)
LEDGER_SHARD = "ledger-00"
BOOKED = f"book/{LEDGER_SHARD}"


@dataclass(frozen=True)
class LiabilityOut:
    """`booked` carries judged postings and balances, `unreadable` rejections, `outgoing` what goes to topics."""

    booked: KeyedStream[Progress]
    unreadable: Stream[Progress]
    outgoing: Stream[Outgoing]


def build(raw: Stream[RawBatch], parts: Parts) -> LiabilityOut:
    """Join the steps; `raw` brings the input topics, and may bring others."""
    legs = decode_topic("read_legs", raw, topics.DEALER_TRANSACTIONS, leg_from)
    fills = decode_topic("read_fills", raw, topics.VENUE_FILLS)
    cash_flows = decode_topic("read_cash_flows", raw, topics.VENUE_CASHFLOWS)
    unreadable = op.merge("unreadable", legs, fills, cash_flows)

    arrivals = recall("recall", without_rejections("legs", legs), parts.open_history, parts.pairing.memory)
    by_second = spread("by_second", arrivals, shard_names("pair", parts.pairing.shards), posting.second_of)
    pairing, leg_sources = parts.pairing, _sources(parts, topics.DEALER_TRANSACTIONS)
    pairs = pair_legs("pair", by_second, leg_sources, pairing.rule, pairing.leg_age_max_ms, pairing.memory.span_ms)
    paired = ungrouped("paired", pairs)

    postings = op.merge(
        "postings",
        remade("trade_postings", paired, posting.post_effect),
        remade("fill_postings", without_rejections("fills", fills), posting.post_fill),
        remade("cash_postings", without_rejections("cash_flows", cash_flows), posting.post_cash_flow),
    )
    to_ledger = gather("to_ledger", postings, LEDGER_SHARD)
    booked = book("book", to_ledger, _posting_sources(parts), parts.open_ledger, [LIABILITY], parts.window_ms)
    return LiabilityOut(booked, unreadable, _announce(legs, fills, cash_flows, paired, ungrouped("said", booked)))


def _sources(parts: Parts, topic: topics.Topic) -> list[str]:
    return [source_name(name, partition) for name, partition in parts.partitions if name == topic.name]


def _posting_sources(parts: Parts) -> list[str]:
    pairs = [f"pair/{shard}" for shard in shard_names("pair", parts.pairing.shards)]
    return [*pairs, *_sources(parts, topics.VENUE_FILLS), *_sources(parts, topics.VENUE_CASHFLOWS)]


def _announce(
    legs: Stream[Progress],
    fills: Stream[Progress],
    cash_flows: Stream[Progress],
    paired: Stream[Progress],
    booked: Stream[Progress],
) -> Stream[Outgoing]:
    return op.merge(
        "liability_outgoing",
        publish("user_trades", booked, topics.USER_TRADES, announce.user_trade),
        publish("balances", booked, topics.LEDGER_BALANCES, announce.balance),
        publish("ledger_rejections", booked, topics.LEDGER_REJECTIONS, announce.rejection),
        publish("conflicts", booked, topics.ALERTS, announce.conflict),
        publish("waiting", paired, topics.LEGS_WAITING, announce.waiting),
        publish("refused", paired, topics.LEGS_REFUSED, announce.refused),
        publish("too_old", paired, topics.ALERTS, announce.too_old),
        publish_rejections("bad_legs", legs, topics.DEALER_TRANSACTIONS),
        publish_rejections("bad_fills", fills, topics.VENUE_FILLS),
        publish_rejections("bad_cash_flows", cash_flows, topics.VENUE_CASHFLOWS),
    )


def flow(parts: Parts) -> Dataflow:
    """The flow by itself, joined to topics on both sides."""
    dataflow = Dataflow("liability")
    out = build(op.input("topics", dataflow, parts.source(INPUTS)), parts)
    output_messages(parts, out.outgoing)
    output_unreadable(parts, out.unreadable)
    return dataflow
