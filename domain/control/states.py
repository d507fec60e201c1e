"""Tables of states: where a machine may go from where it is, and how far a path through them gets.

A step is in the table or it is refused, also from a state to itself. A state that leads nowhere is an end.
"""

from collections.abc import Hashable, Mapping, Sequence
from itertools import pairwise
from typing import TypeVar

S = TypeVar("S", bound=Hashable)
Steps = Mapping[S, frozenset[S]]


def refused_at(steps: Steps[S], path: Sequence[S]) -> int | None:
    """Return the number of the first step of a path that is not in the table, None if all are."""
    return next((n for n, (before, after) in enumerate(pairwise(path), 1) if after not in steps[before]), None)


def ends(steps: Steps[S]) -> frozenset[S]:
    """Return the states that are left no more."""
    return frozenset(state for state, after in steps.items() if not after)
