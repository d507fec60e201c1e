"""The life of a conversion: ordered, sent to a provider, done there, booked.

```
pending -> provider_submitted -> provider_processing -> provider_completed -> ledger_updating -> completed
   |              |       \\______________|__________________^
   +--------------+----------------------+--> failed, cancelled ..> provider_completed, flagged LATE_COMPLETION
```

A step is in the table or it is refused, also from a state to itself: who repeats a word is a duplicate, and whoever comes
late with an earlier word moves nothing. The one way out of an end is money that moved although nobody thought so any
more; refusing that word would lose it from the books. Source: the treasury's document §2.3 and `settled` 20, 21.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple, get_args

JobState = Literal[
    "pending",
    "provider_submitted",
    "provider_processing",
    "provider_completed",
    "ledger_updating",
    "completed",
    "failed",
    "cancelled",
]
JOB_STATES: tuple[JobState, ...] = get_args(JobState)

STEPS: Mapping[JobState, frozenset[JobState]] = {
    "pending": frozenset(("provider_submitted", "failed", "cancelled")),
    "provider_submitted": frozenset(("provider_processing", "provider_completed", "failed", "cancelled")),
    "provider_processing": frozenset(("provider_completed", "failed", "cancelled")),
    "provider_completed": frozenset(("ledger_updating",)),
    "ledger_updating": frozenset(("completed",)),
    "completed": frozenset(),
    "failed": frozenset(("provider_completed",)),
    "cancelled": frozenset(("provider_completed",)),
}
"""Where a job may go from where it is."""

LATE: frozenset[JobState] = frozenset(("failed", "cancelled"))
"""The ends that a completion still leads out of, once."""


class Walked(NamedTuple):
    """How far a path goes: whole if nothing is refused, else up to the step with that number; and whether it completed
    late.
    """

    refused_at: int | None = None
    is_late: bool = False


def may_step(before: JobState, after: JobState) -> bool:
    """Whether a job may go from one state to another."""
    return after in STEPS[before]


def walk(path: Sequence[JobState]) -> Walked:
    """Return how far a job that is in the first of these states gets through the others."""
    is_late = False
    for number, (before, after) in enumerate(pairwise(path), 1):
        if not may_step(before, after):
            return Walked(number, is_late)
        is_late |= before in LATE
    return Walked(None, is_late)
