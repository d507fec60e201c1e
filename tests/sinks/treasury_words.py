"""Words of a treasury for tests of its records: thresholds, levels, a conversion from its order to its posting."""

import json
from pathlib import Path
from typing import Any

from domain.ledger.journal import Transaction
from domain.messages.provider import ProviderConfig, ProviderHealth
from domain.messages.treasury import BufferLevel, BufferThresholds, JobChange, JobState, NetSettlement, NetWindow
from domain.templates.buffers import Converted, buffer_flow, conversion
from domain.times import parse_ms

AT_MS = parse_ms("2026-01-31T12:00:00Z")
USDC, FIAT, BROKER = "system_buffer_usdc", "system_buffer_fiat", "broker_operational"
CASES = json.loads((Path(__file__).parents[1] / "cases" / "treasury.json").read_text())
THRESHOLDS = BufferThresholds.model_validate_json(BufferThresholds.examples[0])
DUE = ProviderConfig.model_validate_json(ProviderConfig.examples[0])


def level(posted: int, **told: Any) -> BufferLevel:
    """A buffer of USDC kept between 10,000, 50,000 and 100,000."""
    facts: dict[str, Any] = {
        "buffer": USDC,
        "currency": "USDC",
        "in_flight": 0,
        "reserved": 0,
        "min": THRESHOLDS.min,
        "target": THRESHOLDS.target,
        "max": THRESHOLDS.max,
        "batch": THRESHOLDS.batch,
        "model": "fixed",
        "status": "HEALTHY",
        "control": "active",
        "as_of": AT_MS,
    }
    return BufferLevel(posted=posted, **{**facts, **told})


def job(name: str, sequence: int, state: JobState, after_seconds: int = 0, **told: Any) -> JobChange:
    """A job that converts 40,000 USDC to dollars, after a step of its life."""
    facts: dict[str, Any] = {
        "decision_id": "d1",
        "cause": "buffer_replenishment",
        "source": USDC,
        "destination": FIAT,
        "amount": 40_000_000_000,
        "expected": 3_980_000,
        "ordered_at": AT_MS,
        "as_of": AT_MS + after_seconds * 1000,
    }
    return JobChange(job_id=name, sequence=sequence, state=state, **{**facts, **told})


def life(name: str, seconds: int, *, provider: str = "due", fee: int = 20_000) -> list[JobChange]:
    """A job from its order to its end, so many seconds later."""
    there = {"provider": provider, "client_conversion_id": f"client {name}", "attempt": 1, "submitted_at": AT_MS + 1000}
    named = {**there, "provider_tx_id": f"tx {name}"}
    got = {**named, "received": 4_000_000 - fee, "fee": fee}
    return [
        job(name, 1, "pending"),
        job(name, 2, "provider_submitted", 1, **there),
        job(name, 3, "provider_processing", 2, **named),
        job(name, 4, "provider_completed", seconds, **got),
        job(name, 5, "ledger_updating", seconds, **got),
        job(name, 6, "completed", seconds, **got),
    ]


def failed(name: str, seconds: int, *, provider: str = "due") -> list[JobChange]:
    """A job that its provider could not carry out, so many seconds later."""
    ended = {"provider": provider, "client_conversion_id": f"client {name}", "provider_tx_id": f"tx {name}", "attempt": 1}
    return [job(name, 1, "pending"), job(name, 2, "failed", seconds, **ended, error="PROVIDER_ERROR")]


def booked(name: str, seconds: int, *, provider: str = "due", fee: int = 20_000) -> Transaction:
    """What the books have of such a job."""
    done = Converted(
        provider, f"tx {name}", f"client {name}", name, USDC, "USDC", 40_000_000_000, FIAT, "USD", 4_000_000 - fee, fee
    )
    return conversion(done, effective_at_ms=AT_MS + seconds * 1000, source="provider.events/0", source_offset=0)


FUNDING = buffer_flow(
    "funding",
    USDC,
    "USDC",
    10**12,
    "funding",
    reverts=None,
    effective_at_ms=AT_MS,
    source="treasury.flows/0",
    source_offset=0,
)
"""What the books have of a million USDC that we put there."""

WINDOW = NetWindow(
    buffer=USDC,
    start=AT_MS,
    end=AT_MS + 300_000,
    flows=3,
    late=1,
    open=5,
    close=7,
    low=4,
    net=2,
    gross=6,
    as_of=AT_MS + 330_000,
)
SETTLEMENT = NetSettlement(
    end=AT_MS,
    net_cents={"A": -40, "B": 40},
    gross_cents=160,
    settled_cents=40,
    payments=(("A", "B", 40),),
    as_of=AT_MS,
)
HEALTH = ProviderHealth(
    provider="due",
    status="active",
    is_healthy=True,
    successes=9,
    failures=3,
    breaker="closed",
    daily_used_cents=500,
    last_job_id="j1",
    as_of=AT_MS,
)
