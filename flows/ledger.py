"""Postings in, balances and verdicts out: the neighbour of every flow that books.

postings of a flow --+
ledger.crossings ----+-> book (one shard, one writer) -> ledger.balances, ledger.verdicts, user.trades
                                                      -> ledger.crossings, where money goes on to another shard

A shard has a merge, a watermark and a writer of its own, so a group of flows that has fallen behind holds back nobody else.
By itself the flow books single postings, on a shard of theirs.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from bytewax.dataflow import Dataflow

from domain import topics
from domain.ledger.clearing import arriving, home_part
from domain.ledger.journal import Transaction
from domain.messages.ledger import LedgerBalance
from domain.postings.single import post_single
from flows.edges import Edges, Told, tell
from operators import announce
from operators.ledger import Answer, OpenLedger, book
from operators.streams.feeds import Feed, Raw, only, read, remade, together

INPUTS = (topics.LEDGER_POSTINGS, topics.LEDGER_CROSSINGS)


@dataclass(frozen=True)
class Setup:
    """The shard and who opens it; which balances are said again every second, as (account, currency); how much stream time
    one batch may span; of which templates posted verdicts are told too; and in which shard an account is, if postings cross."""

    shard: int
    open_ledger: Callable[[], OpenLedger]
    watched: Sequence[tuple[str, str]]
    window_ms: int
    followed: Collection[str] = ()
    shard_of: Callable[[str], int] | None = None


class Booked(NamedTuple):
    """Everything that was answered, the balances among it, and what is told."""

    answers: Feed[Answer]
    balances: Feed[LedgerBalance]
    told: Told


def build(name: str, raw: Raw, postings: Feed[Transaction], own: Setup) -> Booked:
    """Book a feed of postings, and what other shards leave to this one, which `raw` brings.

    `name` names the step, and the source that its answers are.
    """
    crossings = read(raw, topics.LEDGER_CROSSINGS)
    arrived = remade(f"{name}_arriving", crossings.good, lambda record: arriving(record.value, own.shard))
    wanted = together(f"{name}_postings", at_home(f"{name}_at_home", postings, own), arrived)
    answers = book(name, wanted, own.shard, own.open_ledger, own.watched, own.window_ms)
    balances = only(f"{name}_balances", answers, LedgerBalance)
    return Booked(answers, balances, tell(name, [answers], [crossings], announce.booking(own.followed)))


def at_home(step_id: str, postings: Feed[Transaction], own: Setup) -> Feed[Transaction]:
    """Leave of each posting what is booked here; a flow whose postings never cross has no step for it."""
    shard_of = own.shard_of
    if shard_of is None:
        return postings
    return remade(step_id, postings, lambda record: home_part(record.value, shard_of, own.shard))


def flow(edges: Edges, own: Setup) -> Dataflow:
    """Single postings, joined to topics on both sides."""
    dataflow = Dataflow("ledger")
    edges.tell(singles(edges.read("topics", dataflow, INPUTS), own))
    return dataflow


def singles(raw: Raw, own: Setup) -> Told:
    """Book the postings that somebody asked for by name."""
    postings = read(raw, topics.LEDGER_POSTINGS)
    booked = build("book_singles", raw, remade("post_singles", postings.good, post_single), own)
    return booked.told._replace(unreadable=(postings.bad, *booked.told.unreadable))
