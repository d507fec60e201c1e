"""Postings in, balances and verdicts out: the neighbour of every flow that books.

postings of a flow --+
ledger.crossings ----+-> book (one shard, one writer) -> ledger.balances, ledger.verdicts, user.trades
                                                      -> ledger.crossings, where money goes on to another shard

A shard has a merge, a watermark and a writer of its own, so a group of flows that has fallen behind holds back nobody else.
Postings may be spread over several shards; the sums of their accounts are told then as well. By itself the flow books single
postings, on a shard of theirs.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bytewax.dataflow import Dataflow

from domain import topics
from domain.ledger.clearing import arriving
from domain.ledger.journal import Transaction
from domain.ledger.leaves import Sums
from domain.messages.ledger import Crossing, LedgerBalance
from domain.postings.single import post_single
from flows.edges import Edges, Told, tell
from operators import announce
from operators.ledger import Answer, OpenLedger, book
from operators.streams.feeds import Feed, Raw, only, read, remade, together
from operators.streams.machines import Kind, machine

INPUTS = (topics.LEDGER_POSTINGS, topics.LEDGER_CROSSINGS)
SUMS = ("sums-00",)


@dataclass(frozen=True)
class Setup:
    """The shard and who opens it; which balances are said again every second, as (account, currency); how much stream time
    one batch may span; of which templates posted verdicts are told too; and what of a posting is booked here, if not always
    all of it."""

    shard: int
    open_ledger: Callable[[], OpenLedger]
    watched: Sequence[tuple[str, str]]
    window_ms: int
    followed: Collection[str] = ()
    part: Callable[[Transaction], Transaction | None] | None = None


class Booked(NamedTuple):
    """Everything that was answered, the balances among it, and what is told."""

    answers: Feed[Answer]
    balances: Feed[LedgerBalance]
    told: Told


def build(name: str, raw: Raw, postings: Feed[Transaction], shards: Sequence[Setup]) -> Booked:
    """Book a feed of postings, and what other shards leave to these, which `raw` brings.

    `name` names the step of the first shard, and the sources that the answers of all are.
    """
    crossings = read(raw, topics.LEDGER_CROSSINGS)
    booked = [
        booked_on(f"{name}_{own.shard:02d}" if n else name, name, postings, crossings.good, own)
        for n, own in enumerate(shards)
    ]
    makers = announce.booking(shards[0].followed)
    if len(booked) == 1:
        (answers,) = booked
        return Booked(answers, only(f"{name}_balances", answers, LedgerBalance), tell(name, booked, [crossings], makers))
    answers = together(f"{name}_answers", *booked)
    balances = only(f"{name}_balances", answers, LedgerBalance)
    sums = sums_of(f"{name}_sums", balances, [own.shard for own in shards])
    return Booked(answers, together(f"{name}_owed", balances, sums), tell(name, [answers, sums], [crossings], makers))


def booked_on(step_id: str, name: str, postings: Feed[Transaction], crossings: Feed[Crossing], own: Setup) -> Feed[Answer]:
    """Book on one shard what of the postings belongs there, and what arrives there from others."""
    arrived = remade(f"{step_id}_arriving", crossings, lambda record: arriving(record.value, own.shard))
    wanted = together(f"{step_id}_postings", at_home(f"{step_id}_at_home", postings, own), arrived)
    return book(step_id, name, wanted, own.shard, own.open_ledger, own.watched, own.window_ms)


def at_home(step_id: str, postings: Feed[Transaction], own: Setup) -> Feed[Transaction]:
    """Leave of each posting what is booked here; where that is always all of it there is no step for it."""
    part = own.part
    return postings if part is None else remade(step_id, postings, lambda record: part(record.value))


def sums_of(name: str, balances: Feed[LedgerBalance], shards: Sequence[int]) -> Feed[LedgerBalance]:
    """Say of the accounts that have leaves in these shards what they come to."""
    kind = Kind(Sums.version, lambda snapshot: Sums(shards, snapshot))
    return machine(name, balances, SUMS, lambda _: "", kind)


def flow(edges: Edges, own: Setup) -> Dataflow:
    """Single postings, joined to topics on both sides."""
    dataflow = Dataflow("ledger")
    edges.tell(singles(edges.read("topics", dataflow, INPUTS), own))
    return dataflow


def singles(raw: Raw, own: Setup) -> Told:
    """Book the postings that somebody asked for by name."""
    postings = read(raw, topics.LEDGER_POSTINGS)
    booked = build("book_singles", raw, remade("post_singles", postings.good, post_single), [own])
    return booked.told._replace(unreadable=(postings.bad, *booked.told.unreadable))
