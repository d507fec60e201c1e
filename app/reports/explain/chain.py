"""Collecting the chain of one thing out of Postgres: what led to it, and what it led to.

    message, leg → user trade → the first hedge decision that counted it → order or transfer → what was booked of it
    lock of an order → trades that it pays for, each of two orders → what of it is unlocked
    decision about a buffer → job → what was asked of providers, one attempt after the other → what was booked of it

Backwards a decision leads to what changed the liability since the last one that was not held, of which ten are named. Of legs
that still wait nothing is in Postgres, and a trade keeps the place of the one message that completed it. A decision that repeats
the one before is counted and not recorded, so what counted a trade is the first one on record; if that was a hold, the first that
was none is told too.
"""

from app.reports.explain.graph import Edge, Explained, Key, Node
from app.reports.explain.hops import Hop, causes, effects
from app.reports.explain.records import FINDERS, Records, Watched, rows
from app.reports.explain.settlement import posting_ids
from domain.errors import BallastError
from domain.templates.buffers import flow_id as buffer_flow_id
from domain.templates.cash_flows import cash_flow_id
from domain.templates.exchange_position import fill_id, position_id
from sinks.ledger.export import snapshot
from sinks.postgres import connect

BESIDE = ("message", "leg")
"""What is told beside everything that something led to: the message and the legs that it came of."""


def explain(dsn: str, watched: Watched, name: str) -> Explained:
    """Return everything of this id with its chain, as of one moment. BallastError if there is nothing."""
    with connect(dsn, "reader", "explain") as connection, snapshot(connection):
        chain = _Chain(Records(connection, watched))
        asked = chain.follow(name) if name.isprintable() else []
    if not asked:
        msg = (
            f"nothing on record has the id {name!r}; an id is that of a leg, a transaction, a decision, an order, a transfer, "
            "a fill, a line of cash, a flow of a buffer or a job, of a matched trade, an order or a flow of a customer, "
            "or is a symbol and a number, such as BTC_USDT/17, "
            "or names a message as topic/partition/offset, such as dealer.transactions/0/17"
        )
        raise BallastError(msg)
    return Explained(asked, list(chain.nodes.values()), list(chain.edges))


class _Chain:
    """What has been found so far; nothing is looked up twice, and nothing followed twice the same way."""

    def __init__(self, records: Records) -> None:
        self.nodes: dict[Key, Node] = {}
        self.edges: dict[Edge, None] = {}
        self._records = records
        self._found: dict[Key, Node | None] = {}
        self._followed: set[tuple[str, Key]] = set()

    def follow(self, name: str) -> list[Key]:
        """Find all that has this id, or that a venue calls so, and follow each both ways; returns what was found."""
        venues = [row["venue"] for row in rows(self._records, "look_venues")]
        outside = [id_of(venue, name) for venue in venues for id_of in (fill_id, position_id, cash_flow_id)]
        outside += [buffer_flow_id(name), *posting_ids(name)]
        outside += [row["tx_id"] for row in rows(self._records, "look_settled", id=name)]
        found = [self._find(kind, name) for kind in FINDERS] + [self._find("transaction", one) for one in outside]
        asked = [node for node in found if node is not None]
        for node in asked:
            self._before(node)
            self._after(node)
        return [node.key for node in asked]

    def _find(self, kind: str, name: str) -> Node | None:
        if (kind, name) not in self._found:
            node = self._found[kind, name] = FINDERS[kind](self._records, name)
            if node is not None:
                self.nodes.setdefault(node.key, node)
        return self._found[kind, name]

    def _is_new(self, way: str, node: Node) -> bool:
        is_new = (way, node.key) not in self._followed
        self._followed.add((way, node.key))
        return is_new

    def _before(self, node: Node) -> None:
        if self._is_new("before", node):
            for hop in causes(self._records, node):
                cause = self._come(hop, node)
                # What a decision counted is named; where that came from is told of each by itself.
                if cause is not None and node.kind != "decision":
                    self._before(cause)

    def _come(self, hop: Hop, node: Node) -> Node | None:
        cause = self._find(hop.kind, hop.id)
        if cause is not None:
            self.edges[Edge(cause.key, node.key, hop.word)] = None
        return cause

    def _after(self, node: Node) -> None:
        if not self._is_new("after", node):
            return
        for hop in causes(self._records, node):
            if hop.kind in BESIDE:
                self._come(hop, node)
        for hop in effects(self._records, node):
            effect = self._find(hop.kind, hop.id)
            if effect is not None:
                self.edges[Edge(node.key, effect.key, hop.word)] = None
                self._after(effect)
