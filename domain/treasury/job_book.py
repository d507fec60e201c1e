"""All conversion jobs, worked: who is asked next, what providers and the ledger say, and what has to be told of it.

The life of one job is in `jobs.py`, who may be asked in `providers.py`. Here they meet: an attempt that ends is noted at its
provider, a job that is due asks the provider that is chosen now, and every step of a job is said.
"""

import json
from collections.abc import Iterable, Iterator

from domain.ledger.journal import Judged, Outcome
from domain.messages.fields import Message
from domain.messages.provider import ConversionReport, ProviderConfig, ProviderEvent
from domain.messages.treasury import JobChange
from domain.outbox.kinds import CONVERSION
from domain.outbox.lifecycle import REFUSED
from domain.outbox.slots import STANDS
from domain.streams.records import Snapshot
from domain.times import DAY_MS
from domain.treasury import jobs
from domain.treasury.conversions import wrong_by
from domain.treasury.jobs import FOR_GOOD, MISMATCH, Job, Steps
from domain.treasury.ordering import choose, direction_of
from domain.treasury.policy import TreasuryPolicy
from domain.treasury.providers import Providers
from domain.treasury.selection import Provider, Selection, Wish
from domain.treasury.telling import alert, cancel_of, change_of, job_of, request_of

MEMORY_MS = 90 * DAY_MS
"""So long a job that has ended is remembered: it may still turn out to have been carried out."""


class JobBook:
    """Jobs by their keys, open and ended; a part of the desk, which takes what is said."""

    def __init__(self, policy: TreasuryPolicy, snapshot: Snapshot | None = None, recorded: Iterable[JobChange] = ()) -> None:
        open_, ended, providers = snapshot or ((), (), None)
        self.open: dict[str, Job] = {one[0]: Job(*one) for one in open_}
        self.ended: dict[str, Job] = {one[0]: Job(*one) for one in ended}
        self.providers = Providers(policy, providers)
        self._policy = policy
        self._asks_again = [job.id for job in map(job_of, recorded) if self._remember(job)]
        known = (*self.open.values(), *self.ended.values())
        self._by_attempt = {jobs.attempt_id(job, n): job.id for job in known for n in range(1, job.attempt + 1)}
        self._says: list[Message] = []

    def _remember(self, job: Job) -> bool:
        """Keep a job as it was recorded, unless a later step of it is known; return whether its request may not have left.

        What is recorded was decided before a crash that the snapshot knows nothing of. It stands: what was asked for on that
        word may be under way.
        """
        before = self.job(job.id)
        if before is not None and before.sequence >= job.sequence:
            return False
        self._keep(job)
        if job.is_out and job.provider and job.client_id and job.submitted_at_ms:
            self.providers.asks(job.provider, job.client_id, job.id, job.gives_micros, job.submitted_at_ms)
        return job.state == "pending" and job.is_out

    def _keep(self, job: Job) -> None:
        self.ended.pop(job.id, None)
        self.open.pop(job.id, None)
        (self.open if job.is_open else self.ended)[job.id] = job

    def snapshot(self) -> Snapshot:
        """Jobs and providers, as tuples."""
        return tuple(map(tuple, self.open.values())), tuple(map(tuple, self.ended.values())), self.providers.snapshot()

    def said(self) -> list[Message]:
        """Take what is to be said since the last time."""
        says, self._says = self._says, []
        return says

    def job(self, name: str | None) -> Job | None:
        """Return a job, None of one that is not known."""
        return self.open.get(name or "") or self.ended.get(name or "")

    def wakes_at_ms(self) -> int | None:
        """When the next job is due."""
        return min((job.due_ms for job in self.open.values() if job.may_try and job.due_ms is not None), default=None)

    # ---- what is wanted

    def take(self, steps: Steps, at_ms: int) -> Steps:
        """Keep the steps of a job, and say each that is new."""
        for job in steps:
            before = self.job(job.id)
            if before is not None and before.sequence >= job.sequence:
                continue
            self._keep(job)
            self._says.append(change_of(job, at_ms))
            self._warn(job, at_ms)
        return steps

    def _warn(self, job: Job, at_ms: int) -> None:
        if job.error == MISMATCH:
            self._alert("amount_mismatch", job.id, f"{job.id}: {job.reason}; nothing is booked", at_ms)
        elif job.state == "failed":
            self._alert("job_failed", job.id, f"{job.id} failed: {job.error}, {job.reason}", at_ms)

    def cancel(self, job: Job, control_id: str, why: str, at_ms: int) -> None:
        """Give a job up: at once, or by asking the provider that has it."""
        if job.is_out:
            self._says.append(cancel_of(job, control_id, at_ms))
        else:
            self.take(jobs.cancelled(job, why), at_ms)

    def work(self, at_ms: int) -> None:
        """Ask providers for the jobs that are due, and once more for those whose request may not have left before a crash."""
        for job in [self.open[name] for name in self._asks_again if name in self.open]:
            # As it was first decided: one that has left is known by it, one that has not is too old by then and is tried anew.
            self._says.append(request_of(job, job.provider or "", job.submitted_at_ms or at_ms))
        self._asks_again = []
        due = [job for job in self.open.values() if job.may_try and job.due_ms is not None and job.due_ms <= at_ms]
        for job in due:
            self._try(job, at_ms)

    def _try(self, job: Job, at_ms: int) -> None:
        providers = tuple(self.providers.providers(at_ms, (*job.tried, *job.refused_by)))
        chosen = self._choose(job, providers)
        if not chosen.slices:
            why = ", ".join(f"{name}: {reason}" for name, reason in chosen.refused.items()) or "no provider is left"
            self.take(jobs.nobody_left(job, why, at_ms, self._policy.back_off), at_ms)
            return
        name = chosen.slices[0].provider
        eta_ms = next(one.eta_seconds for one in providers if one.name == name) * 1000
        out = jobs.tried_with(job, name, at_ms + eta_ms, at_ms)
        attempt = jobs.attempt_id(job, out.attempt)
        self._by_attempt[attempt] = out.id
        self.take((out,), at_ms)
        self.providers.asks(name, attempt, out.id, out.gives_micros, at_ms)
        self._says.append(request_of(out, name, at_ms))

    def _choose(self, job: Job, providers: Iterable[Provider]) -> Selection:
        wish = Wish(
            job.gives_micros,
            direction_of(job.source, job.destination),
            may_be_degraded=job.cause == "emergency",
            cost_counts=self._policy.cost_counts,
        )
        return choose(tuple(providers), wish, self._policy)

    # ---- what is heard

    def hear_config(self, config: ProviderConfig, at_ms: int) -> None:
        """Learn the terms of a provider; what it has already is asked about until it ends."""
        self.providers.learn(config)
        for job in self.open.values():
            if config.status == "inactive" and job.is_out and job.provider == config.provider:
                text = f"{config.provider} is inactive and has {job.id}; it is asked about until it ends"
                self._alert("provider_removed_with_job", job.id, text, at_ms)

    def hear_report(self, report: ConversionReport, at_ms: int) -> Steps:
        """Hear what became of a request; return the steps that its job took."""
        job, attempt = self._job_of(report.client_conversion_id), report.client_conversion_id
        if job is None or report.state == "completed":
            return ()  # what was done is told by the provider, with its amounts
        if report.state == "processing":
            return self.take(jobs.accepted(job, attempt, is_processing=False), at_ms)
        if report.state not in CONVERSION.last_words or _stands(report):
            return ()
        return self._end_attempt(job, attempt, report.state, report.reason, at_ms)

    def hear_event(self, event: ProviderEvent, at_ms: int) -> Steps:
        """Hear what a provider says; return the steps that the job took."""
        job, attempt = self._job_of(event.client_conversion_id), event.client_conversion_id
        if job is None:
            return ()
        if event.state == "completed":
            return self._complete(job, event, at_ms)
        if event.state == "processing":
            return self.take(jobs.accepted(job, attempt, is_processing=True), at_ms)
        return self._end_attempt(job, attempt, event.state, event.error, at_ms)

    def hear_verdict(self, judged: Judged, at_ms: int) -> None:
        """Hear what the ledger says of the posting of a conversion."""
        job = self.job(json.loads(judged.transaction.meta).get("job_id"))
        if job is None or judged.transaction.reverses is not None:
            return
        if judged.verdict.outcome in (Outcome.POSTED, Outcome.DUPLICATE):
            self.take(jobs.posted(job), at_ms)
            return
        why = judged.verdict.reason or str(judged.verdict.outcome)
        if self.take(jobs.not_posted(job, why), at_ms):
            text = f"{job.id} is done at {job.provider}, and the ledger refuses its posting: {why}"
            self._alert("conversion_not_booked", job.id, text, at_ms)

    def _end_attempt(self, job: Job, attempt: str, state: str, reason: str | None, at_ms: int) -> Steps:
        provider, is_open = job.provider or "", job.is_out and attempt == job.client_id
        if not is_open:
            return ()
        if state == "cancelled":
            self.providers.let_go(provider, attempt)
            return self.take(jobs.cancelled(job, reason or "the provider let it go"), at_ms)
        if state == "refused":  # here, before it left: that says nothing of the provider
            self.providers.let_go(provider, attempt)
        else:
            self.providers.ended(provider, attempt, at_ms, is_success=False)
        error = (reason or state).partition(":")[0][:64]
        return self.take(jobs.came_to_nothing(job, attempt, error, reason, at_ms, for_good=error.lower() in FOR_GOOD), at_ms)

    def _complete(self, job: Job, event: ProviderEvent, at_ms: int) -> Steps:
        attempt, tx_id = event.client_conversion_id, event.provider_tx_id
        off = wrong_by(request_of(job._replace(client_id=attempt), event.provider, at_ms), event)
        if off:
            return self.take(jobs.mismatched(job, attempt, tx_id, off, at_ms), at_ms)
        steps = jobs.done(job, attempt, tx_id, event.destination_amount or 0, event.fee_amount or 0, at_ms)
        if not steps:
            if (attempt, tx_id) != (job.client_id, job.provider_tx_id):
                text = f"{job.id} was done by {job.provider_tx_id}; {event.provider} says {tx_id} was done as well"
                self._alert("conversion_paid_twice", f"{job.id} {tx_id}", text, at_ms)
            return ()
        if job.is_out and attempt != job.client_id:
            self._says.append(cancel_of(job, tx_id, at_ms))
        self.providers.ended(event.provider, attempt, at_ms, is_success=True)
        if steps[-1].is_late or attempt != job.client_id:
            text = f"{event.provider} has converted {job.id} after all, which was {job.state}; it is booked"
            self._alert("late_completion", job.id, text, at_ms)
        return self.take(steps, at_ms)

    def _job_of(self, attempt: str) -> Job | None:
        return self.job(self._by_attempt.get(attempt))

    # ---- time

    def tell_of_the_slow(self, at_ms: int) -> None:
        """Say which jobs are with a provider, or done and not booked, for too long."""
        for job in self.open.values():
            for subject, text in self._slow(job, at_ms):
                self._alert(subject, job.id, text, at_ms)

    def _slow(self, job: Job, at_ms: int) -> Iterator[tuple[str, str]]:
        policy, asked_ms = self._policy, at_ms - (job.submitted_at_ms or at_ms)
        if job.is_out and asked_ms > policy.stale_seconds * 1000:
            is_past = job.eta_at_ms is None or at_ms > job.eta_at_ms
            yield "job_stuck" if is_past else "job_stale", f"{job.id} is with {job.provider} for {asked_ms // 1000} s"
        done_ms = at_ms - (job.done_at_ms or at_ms)
        if done_ms > policy.stuck_seconds * 1000:
            yield "job_stuck", f"{job.id} is done at {job.provider} for {done_ms // 1000} s and not booked"

    def forget(self, at_ms: int) -> None:
        """Forget jobs that ended so long ago that nothing will be heard of them."""
        for job in [one for one in self.ended.values() if one.ordered_at_ms < at_ms - MEMORY_MS]:
            del self.ended[job.id]
            for number in range(1, job.attempt + 1):
                self._by_attempt.pop(jobs.attempt_id(job, number), None)

    def _alert(self, subject: str, name: str, text: str, at_ms: int) -> None:
        self._says.append(alert(subject, name, text, at_ms))


def _stands(report: ConversionReport) -> bool:
    """Whether a refusal says that the request is out already, as it was first made."""
    return report.state == REFUSED and (report.reason or "").endswith(STANDS)
