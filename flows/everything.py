"""All flows in one process, joined stream to stream: a trade is paired, booked and hedged without a hop through the broker.

What comes back from the exchange goes through its topics, because a dataflow has no cycles.
"""

import bytewax.operators as op
from bytewax.dataflow import Dataflow, Stream

from domain.messages import LedgerBalance
from domain.streams import RawBatch
from flows import execution, hedging, liability
from flows.parts import Parts, output_messages, output_unreadable
from operators.routing import only, ungrouped

INPUTS = (*liability.INPUTS, *hedging.FACTS)


def decide_and_book(raw: Stream[RawBatch], parts: Parts) -> tuple[liability.LiabilityOut, hedging.HedgingOut]:
    """From messages to decisions; a replay runs this much and sends nothing."""
    booked = liability.build(raw, parts)
    balances = only("balances_booked", ungrouped("just_booked", booked.booked), LedgerBalance)
    return booked, hedging.build(balances, [liability.BOOKED], raw, parts)


def flow(parts: Parts) -> Dataflow:
    """The whole treasury."""
    dataflow = Dataflow("everything")
    booked, decided = decide_and_book(op.input("topics", dataflow, parts.source(INPUTS)), parts)
    executed = execution.build(decided.decided, op.input("venue", dataflow, parts.gateway), parts)
    output_messages(parts, op.merge("all_outgoing", booked.outgoing, decided.outgoing, executed))
    output_unreadable(parts, op.merge("all_unreadable", booked.unreadable, decided.unreadable))
    return dataflow


def replay(parts: Parts) -> Dataflow:
    """Everything but execution: what was decided is said, and nothing is sent."""
    dataflow = Dataflow("replay")
    booked, decided = decide_and_book(op.input("topics", dataflow, parts.source(INPUTS)), parts)
    output_messages(parts, op.merge("all_outgoing", booked.outgoing, decided.outgoing))
    output_unreadable(parts, op.merge("all_unreadable", booked.unreadable, decided.unreadable))
    return dataflow
