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

from collections.abc import Sequence
from itertools import pairwise
from typing import get_args

from domain.control.states import Steps
from domain.messages.treasury import JobState

JOB_STATES: tuple[JobState, ...] = get_args(JobState)

STEPS: Steps[JobState] = {
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


def may_step(before: JobState, after: JobState) -> bool:
    """Whether a job may go from one state to another."""
    return after in STEPS[before]


def is_late(path: Sequence[JobState]) -> bool:
    """Whether a path leads out of an end, as that of a job does whose money moved although nobody thought so any more."""
    return any(before in LATE and may_step(before, after) for before, after in pairwise(path))
