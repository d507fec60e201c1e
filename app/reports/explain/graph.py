"""What is known of one thing and of all that it hangs together with: plain facts, and edges that say how.

An edge goes the way in which one thing led to the other: from a message to the trade that it completed, from a decision to the
order that it asked for. Ids are those that people use. They may be the same for things of two kinds, so an edge names both.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

Facts = dict[str, Any]
"""Values as JSON has them."""

Key = tuple[str, str]
"""Kind and id."""


class Node(NamedTuple):
    """A thing: a message, a leg, a transaction, a rejection, a decision, an order or a transfer."""

    kind: str
    id: str
    facts: Facts

    @property
    def key(self) -> Key:
        """What edges name it by."""
        return self.kind, self.id


class Edge(NamedTuple):
    """One thing led to another; `word` says how, from the first to the second."""

    start: Key
    end: Key
    word: str


class Explained(NamedTuple):
    """What was asked for, one key for each kind of thing that has the id, and all that was found."""

    asked: Sequence[Key]
    nodes: Sequence[Node]
    edges: Sequence[Edge]


def as_json(explained: Explained) -> Facts:
    """Return the nodes and the edges as plain JSON."""
    return {
        "asked": [_named(key) for key in explained.asked],
        "nodes": [node._asdict() for node in explained.nodes],
        "edges": [{"from": _named(edge.start), "to": _named(edge.end), "word": edge.word} for edge in explained.edges],
    }


def _named(key: Key) -> dict[str, str]:
    return {"kind": key[0], "id": key[1]}
