"""What the desk says: its jobs, levels and decisions as messages, and what a person should look at as alerts."""

from collections.abc import Iterable
from typing import Any, Literal

from domain.ids import content_id, timed_id
from domain.messages.ops import Alert
from domain.messages.treasury import (
    BufferLevel,
    BufferThresholds,
    ConversionCancel,
    ConversionRequest,
    JobChange,
    TreasuryDecision,
)
from domain.treasury.buffer import Buffer, status
from domain.treasury.forecast import Depletion
from domain.treasury.jobs import Job
from domain.treasury.ordering import Evaluated, Wanted
from domain.treasury.stale import NOT_BOOKED, WITH_PROVIDER
from domain.treasury.worth import CURRENCY_OF, MICROS_PER_UNIT, dollars

Mode = Literal["live", "shadow"]
State = Literal["active", "reducing", "halted"]

CRITICAL = frozenset(
    (
        "buffer_critical_low",
        "funding_shortfall",
        "amount_mismatch",
        "conversion_not_booked",
        "conversion_paid_twice",
        "job_stuck",
        "unknown_conversion",
        "contradiction",
    )
)
"""The alerts that wake somebody."""


def alert(subject: str, name: str, text: str, at_ms: int) -> Alert:
    """Return an alert; the same trouble of the same thing has the same id."""
    severity: Literal["warning", "critical"] = "critical" if subject in CRITICAL else "warning"
    return Alert(id=content_id(subject, name), severity=severity, subject=subject, text=text, as_of=at_ms)


def change_of(job: Job, at_ms: int) -> JobChange:
    """Return a step of a job as it is told."""
    return JobChange(
        job_id=job.id,
        sequence=job.sequence,
        decision_id=job.decision_id,
        cause=job.cause,
        state=job.state,
        source=job.source,
        destination=job.destination,
        amount=job.amount,
        expected=job.expected,
        ordered_at=job.ordered_at_ms,
        window_end=job.window_end_ms,
        attempt=job.attempt,
        retries=job.retries,
        provider=job.provider,
        client_conversion_id=job.client_id,
        provider_tx_id=job.provider_tx_id,
        awaits_approval=job.awaits_approval,
        asked_by=job.asked_by,
        due_at=job.due_ms,
        submitted_at=job.submitted_at_ms,
        eta_at=job.eta_at_ms,
        received=job.received,
        fee=job.fee,
        error=job.error,
        reason=job.reason,
        is_late=job.is_late,
        as_of=at_ms,
    )


def job_of(change: JobChange) -> Job:
    """Return a job as its newest step tells of it; which providers have let it down is not told, so all are asked again."""
    is_out = change.attempt > 0 and change.due_at is None and change.provider_tx_id is None
    return Job(
        change.job_id,
        change.decision_id,
        change.cause,
        change.source,
        change.destination,
        change.amount,
        change.expected,
        change.ordered_at,
        change.window_end,
        change.state,
        change.sequence,
        change.attempt,
        change.retries,
        change.provider,
        change.client_conversion_id,
        is_out=is_out and change.state in ("pending", *WITH_PROVIDER),
        provider_tx_id=change.provider_tx_id,
        awaits_approval=change.awaits_approval,
        asked_by=change.asked_by,
        due_ms=change.due_at,
        submitted_at_ms=change.submitted_at,
        eta_at_ms=change.eta_at,
        done_at_ms=change.as_of if change.state in NOT_BOOKED else None,
        received=change.received,
        fee=change.fee,
        error=change.error,
        reason=change.reason,
        is_late=change.is_late,
    )


def request_of(job: Job, provider: str, at_ms: int) -> ConversionRequest:
    """Return the request of the attempt that is out."""
    return ConversionRequest(
        decision_id=job.decision_id,
        client_conversion_id=job.client_id or "",
        job_id=job.id,
        attempt=job.attempt,
        provider=provider,
        source=job.source,
        destination=job.destination,
        source_currency=CURRENCY_OF[job.source],
        destination_currency=CURRENCY_OF[job.destination],
        amount=job.amount,
        as_of=at_ms,
    )


def cancel_of(job: Job, control_id: str, at_ms: int) -> ConversionCancel:
    """Return the request to let go of the attempt that is out."""
    return ConversionCancel(
        decision_id=job.decision_id,
        client_cancel_id=content_id("cancel", control_id, job.client_id or ""),
        client_conversion_id=job.client_id or "",
        job_id=job.id,
        provider=job.provider or "",
        as_of=at_ms,
    )


def decision_of(evaluated: Evaluated, version: str, mode: Mode, control: State, end_ms: int, at_ms: int) -> TreasuryDecision:
    """Return a decision as it is recorded: its inputs, its rule, and what was refused with why."""
    buffer, decision = evaluated.buffer, evaluated.decision
    amount = sum(want.amount for want in evaluated.wanted)
    inputs: dict[str, Any] = {name: _inputs(one) for name, one in sorted(evaluated.group.items())}
    inputs |= {
        "control": control,
        "emergency": decision.is_emergency,
        "excess": decision.excess,
        "legs": [[leg.source, leg.how, leg.amount] for leg in decision.legs],
        "need": decision.need,
        "shortfall": decision.shortfall,
        "window_end": end_ms,
    }
    return TreasuryDecision(
        id=timed_id(at_ms, "buffer", mode, buffer.name, decision.action, str(amount), repr(sorted(inputs.items()))),
        kind="buffer",
        book=mode,
        venue=buffer.name,
        policy="treasury",
        policy_version=version,
        action=decision.action.lower(),
        rule=decision.rule,
        reason=reason_of(evaluated),
        amount=amount,
        unit="micros",
        inputs=inputs,
        refused=list(evaluated.refused),
        as_of=at_ms,
    )


def reason_of(evaluated: Evaluated) -> str:
    """Return in a sentence why a buffer gets what it gets."""
    buffer, decision = evaluated.buffer, evaluated.decision
    limits, position = buffer.thresholds, buffer.position
    if decision.action == "SWEEP_SUGGESTED":
        over = f"{dollars(decision.excess)} are over the target"
        return f"the position {dollars(position)} is over the maximum {dollars(limits.max)}; {over}"
    if decision.action == "NONE":
        return f"the position {dollars(position)} is not under its trigger"
    if decision.action == "DEFER":
        return f"{dollars(decision.need)} are missing, which is less than the smallest ticket"
    short = f", and {dollars(decision.shortfall)} of that nobody may give" if decision.shortfall else ""
    haste = "; it is an emergency" if decision.is_emergency else ""
    return f"the position {dollars(position)} lacks {dollars(decision.need)} of its target{short}{haste}"


def _inputs(buffer: Buffer) -> list[int]:
    limits = buffer.thresholds
    return [buffer.posted, buffer.in_flight, buffer.reserved, limits.min, limits.target, limits.max, limits.batch]


def level_of(buffer: Buffer, told: BufferThresholds, control: State, empty: Depletion | None, at_ms: int) -> BufferLevel:
    """Return how a buffer stands, in minor units of its currency."""
    unit = MICROS_PER_UNIT[CURRENCY_OF[told.buffer]]
    limits = buffer.thresholds
    return BufferLevel(
        buffer=told.buffer,
        currency=CURRENCY_OF[told.buffer],
        posted=buffer.posted // unit,
        in_flight=buffer.in_flight // unit,
        reserved=buffer.reserved // unit,
        min=limits.min // unit,
        target=limits.target // unit,
        max=limits.max // unit,
        batch=limits.batch // unit,
        model=told.model,
        status=status(buffer.posted, limits),
        control=control,
        falls_below_min_at=empty and empty.at_ms,
        falls_earliest_at=empty and empty.earliest_ms,
        falls_latest_at=empty and empty.latest_ms,
        as_of=at_ms,
    )


def wants_text(wanted: Iterable[Wanted]) -> str:
    """Return what is ordered, in words."""
    return ", ".join(f"{dollars(want.amount)} to {want.destination}" for want in wanted) or "nothing"
