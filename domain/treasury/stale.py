"""What to do about a conversion that takes long: ask the provider first, and act on its answer alone.

A job is stale when it has been with the provider for longer than the time-out, to the millisecond. What a provider may
have carried out is never sent again under another name; where it knows nothing of it, the same request under the same key
is safe.

| the provider says | then |
|---|---|
| it was not asked yet | ask |
| completed | complete it |
| processing, within its own time | keep it, and tell a person |
| processing, past its own time or of a provider that names none | escalate to a person |
| it does not know it | send it again under the same key |
| failed, cancelled | fail, and let another provider have it |
| nothing (unreachable) | ask again |

Source: the treasury's document, defects 5, 17 and 18, and `settled` 18.
"""

from collections.abc import Mapping
from typing import Literal

from domain.messages.treasury import JobState

Enquiry = Literal["completed", "processing", "not_found", "failed", "cancelled", "unreachable"]
StaleAction = Literal[
    "none", "ask", "complete", "alert_only", "escalate", "resubmit_same_key", "fail_or_fallback", "retry_enquiry"
]

WITH_PROVIDER: frozenset[JobState] = frozenset(("provider_submitted", "provider_processing"))

NOT_BOOKED: frozenset[JobState] = frozenset(("provider_completed", "ledger_updating"))

_ANSWERS: Mapping[Enquiry, StaleAction] = {
    "completed": "complete",
    "not_found": "resubmit_same_key",
    "failed": "fail_or_fallback",
    "cancelled": "fail_or_fallback",
    "unreachable": "retry_enquiry",
}


def is_stale(state: JobState, submitted_at_ms: int, now_ms: int, timeout_ms: int) -> bool:
    """Whether a job has been with its provider for longer than the time-out."""
    return state in WITH_PROVIDER and now_ms - submitted_at_ms > timeout_ms


def act_on_stale(submitted_at_ms: int, now_ms: int, enquiry: Enquiry | None, eta_ms: int | None) -> StaleAction:
    """Return what to do about a stale job, by what the provider said of it; `eta_ms` is the time that it allows itself."""
    if enquiry is None:
        return "ask"
    if enquiry == "processing":
        return "alert_only" if eta_ms is not None and now_ms - submitted_at_ms <= eta_ms else "escalate"
    return _ANSWERS[enquiry]


def is_orphan(state: JobState, age_ms: int, stuck_ms: int, *, is_booked: bool) -> bool:
    """Whether a job misses its posting: one that says it is completed, or that is done at its provider for too long."""
    return not is_booked and (state == "completed" or (state in NOT_BOOKED and age_ms > stuck_ms))
