"""A conversion job and what moves it: words of the outbox, of providers, of the ledger and of people, and time.

A job is a need, from one buffer to another. What is asked of a provider for it is an *attempt*, under an id of its own; the
next attempt is made only when the one before came to nothing, so what may have been carried out is never ordered again.

| what is heard | what becomes of the job |
|---|---|
| its attempt came to nothing before the provider had it | another provider at once, else the same ones after a wait, so often |
| the provider has it | provider_submitted, provider_processing |
| the provider gave it up | failed; the buffer is looked at anew, since another provider may do it |
| the provider has done it | provider_completed; ledger_updating while it is booked, unless the amounts do not add up |
| the ledger has posted it | completed |
| done after all, though it had failed or was cancelled | the same, flagged late: the money moved |

Each function returns the steps that a word moves the job through, none when the word does not fit: words come in any order,
and as often as they like. Steps that the table in `job.py` does not know are not taken.
"""

from typing import NamedTuple

from domain.ids import client_id
from domain.messages.treasury import BufferName, JobCause, JobState
from domain.treasury.job import may_step
from domain.treasury.retries import BackOff, retry_at_ms
from domain.treasury.worth import CURRENCY_OF, micros

ENDED: frozenset[JobState] = frozenset(("completed", "failed", "cancelled"))
NOTHING_CAME: frozenset[JobState] = frozenset(("failed", "cancelled"))
MISMATCH, LATE, DIVERGED = "AMOUNT_MISMATCH", "LATE_COMPLETION", "STATE_DIVERGED"
FOR_GOOD = frozenset(("amount_invalid", "unsupported_pair", "account_closed"))
"""Errors after which a provider is not asked for the job again."""


class Job(NamedTuple):
    """A job; amounts are in minor units, `amount` of the source, `expected`, `received` and `fee` of the destination.

    `client_id` is that of the attempt that is open or was the last; `tried` are the providers that have let this job down
    since the last wait, `refused_by` those that will never take it.
    """

    id: str
    decision_id: str
    cause: JobCause
    source: BufferName
    destination: BufferName
    amount: int
    expected: int
    ordered_at_ms: int
    window_end_ms: int | None = None
    state: JobState = "pending"
    sequence: int = 1
    attempt: int = 0
    retries: int = 0
    provider: str | None = None
    client_id: str | None = None
    is_out: bool = False
    provider_tx_id: str | None = None
    tried: tuple[str, ...] = ()
    refused_by: tuple[str, ...] = ()
    awaits_approval: bool = False
    asked_by: str | None = None
    due_ms: int | None = None
    submitted_at_ms: int | None = None
    eta_at_ms: int | None = None
    done_at_ms: int | None = None
    received: int | None = None
    fee: int | None = None
    error: str | None = None
    reason: str | None = None
    is_late: bool = False

    @property
    def is_open(self) -> bool:
        """Whether something may still come of it by itself."""
        return self.state not in ENDED

    @property
    def gives_micros(self) -> int:
        """What it takes out of its source."""
        return micros(self.amount, CURRENCY_OF[self.source])

    @property
    def brings_micros(self) -> int:
        """What its destination may expect."""
        return micros(self.expected, CURRENCY_OF[self.destination])

    @property
    def may_try(self) -> bool:
        """Whether a provider may be asked for it."""
        return self.state == "pending" and not self.is_out and not self.awaits_approval


Steps = tuple[Job, ...]
"""A job after each step that it took."""


def attempt_id(job: Job, attempt: int) -> str:
    """Return our id of an attempt at its provider, the same however often it is made."""
    return client_id(f"{job.id}/{attempt}")


def tried_with(job: Job, provider: str, eta_at_ms: int, at_ms: int) -> Job:
    """Return the job with its next attempt on the way to a provider."""
    attempt = job.attempt + 1
    return _step(
        job,
        attempt=attempt,
        provider=provider,
        client_id=attempt_id(job, attempt),
        is_out=True,
        due_ms=None,
        submitted_at_ms=at_ms,
        eta_at_ms=eta_at_ms,
        error=None,
        reason=None,
    )


def came_to_nothing(job: Job, attempt: str, error: str, reason: str | None, at_ms: int, *, for_good: bool) -> Steps:
    """End the open attempt, of which nothing was carried out: another provider is asked at once.

    A job that a provider had accepted has failed then: what is needed by now is decided anew.
    """
    if attempt != job.client_id or not job.is_out or job.provider is None:
        return ()
    if job.state != "pending":
        return failed(job, error, reason)
    tried = {"refused_by": (*job.refused_by, job.provider)} if for_good else {"tried": (*job.tried, job.provider)}
    return (_step(job, is_out=False, due_ms=at_ms, error=error, reason=reason, **tried),)


def nobody_left(job: Job, why: str, at_ms: int, back_off: BackOff) -> Steps:
    """Wait before all providers are asked again, or fail after so many waits."""
    due_ms = retry_at_ms(job.retries, at_ms, back_off)
    if due_ms is None:
        return failed(job, "MAX_RETRIES" if job.attempt else "NO_PROVIDER", job.reason or why)
    return (_step(job, retries=job.retries + 1, due_ms=due_ms, tried=(), reason=job.reason or why),)


def accepted(job: Job, attempt: str, *, is_processing: bool) -> Steps:
    """Note that the provider has it, or is at work; an earlier word that comes late moves nothing."""
    if attempt != job.client_id or not job.is_out:
        return ()
    return _path(job, "provider_submitted", *(("provider_processing",) if is_processing else ()))


def done(job: Job, attempt: str, provider_tx_id: str, received: int, fee: int, at_ms: int) -> Steps:
    """Note that the provider has carried it out and the amounts add up: it is being booked."""
    there = _done_at_provider(job, attempt, provider_tx_id, at_ms)
    if not there:
        return ()
    error = LATE if there[-1].is_late else None
    return (*there, _step(there[-1], state="ledger_updating", received=received, fee=fee, error=error, reason=None))


def mismatched(job: Job, attempt: str, provider_tx_id: str, difference: int, at_ms: int) -> Steps:
    """Note that the provider has carried it out and the amounts do not add up: nothing is booked, and a person looks."""
    if job.error == MISMATCH:
        return ()
    there = _done_at_provider(job, attempt, provider_tx_id, at_ms)
    why = f"what the provider says differs by {difference} minor units from what it should be"
    return (*there[:-1], there[-1]._replace(error=MISMATCH, reason=why)) if there else ()


def _done_at_provider(job: Job, attempt: str, provider_tx_id: str, at_ms: int) -> Steps:
    if job.state == "provider_completed" and job.error == MISMATCH:
        return (job,)  # a later word whose amounts add up
    is_late = job.state in NOTHING_CAME
    steps = _path(job, "provider_submitted", "provider_completed")
    if not steps or steps[-1].state != "provider_completed":
        return ()
    last = steps[-1]._replace(
        client_id=attempt,
        provider_tx_id=provider_tx_id,
        is_out=False,
        awaits_approval=False,
        is_late=is_late,
        due_ms=None,
        done_at_ms=at_ms,
        error=LATE if is_late else None,
        reason=None,
    )
    return (*steps[:-1], last)


def posted(job: Job) -> Steps:
    """Note that the ledger has its posting."""
    return _path(job, "completed")


def not_posted(job: Job, why: str) -> Steps:
    """Note that the ledger refused its posting: it stays where it is, and a person looks."""
    return (_step(job, error=DIVERGED, reason=why),) if job.state == "ledger_updating" else ()


def failed(job: Job, error: str, reason: str | None) -> Steps:
    """End it: nothing will come of it."""
    return tuple([one._replace(is_out=False, due_ms=None, error=error, reason=reason) for one in _path(job, "failed")])


def cancelled(job: Job, reason: str) -> Steps:
    """End it as given up."""
    ended = _path(job, "cancelled")
    return tuple([one._replace(is_out=False, awaits_approval=False, due_ms=None, reason=reason) for one in ended])


def approved(job: Job, at_ms: int) -> Steps:
    """Let it be tried, since enough have agreed."""
    return (_step(job, awaits_approval=False, due_ms=at_ms),) if job.awaits_approval else ()


def _path(job: Job, *states: JobState) -> Steps:
    """Take the steps through some states, leaving out those that the job is past or cannot go to."""
    steps: list[Job] = []
    for state in states:
        before = steps[-1] if steps else job
        if may_step(before.state, state):
            steps.append(_step(before, state=state))
    return tuple(steps)


def _step(job: Job, **changed: object) -> Job:
    after: Job = job._replace(sequence=job.sequence + 1, **changed)  # type: ignore[arg-type]
    return after
