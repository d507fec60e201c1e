"""How the treasury acts: the settings of its decisions, windows, caps, approvals, retries and of whom it trusts.

Amounts here are in cents, whatever the currency: a USDC counts as a dollar. What is decided on is in micro-dollars.
"""

from decimal import Decimal
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt

from domain.treasury.caps import Caps
from domain.treasury.decide import BufferPolicy
from domain.treasury.health import BreakerPolicy, HealthPolicy
from domain.treasury.retries import BackOff
from domain.treasury.window import Span
from domain.treasury.worth import MICROS_PER_CENT


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Rules(_Part):
    """When a buffer is filled up, by how much, and from where."""

    trigger: Literal["min", "target"] = Field("min", description="a buffer is filled up when its position is under this")
    rounding: Literal["exact", "batch"] = Field("exact", description="batch: orders are rounded up to whole batches")
    gross_up: bool = Field(True, description="order so much that after the provider's fee enough arrives")
    protect_source_min: bool = Field(True, description="a source of another currency gives down to its minimum, not to zero")
    emergency_ratio: Decimal = Field(Decimal("0.5"), description="under this share of the minimum nobody waits for a window")
    ticket_min_cents: NonNegativeInt = Field(10_000, description="less than this is not converted")

    @property
    def buffer_policy(self) -> BufferPolicy:
        """The rules as they are decided by, in micro-dollars."""
        ticket = self.ticket_min_cents * MICROS_PER_CENT
        return BufferPolicy(self.trigger, self.rounding, self.protect_source_min, self.emergency_ratio, ticket)

    @property
    def version(self) -> str:
        """A digest of the rules."""
        return sha256(self.model_dump_json().encode()).hexdigest()[:16]


class TreasuryPolicy(_Part):
    """How buffers are kept neither short nor idle."""

    is_on: bool = Field(
        True, description="false: levels are watched, and nothing is ordered (TREASURY_ENABLE_AUTO_REBALANCE)"
    )
    window_seconds: PositiveInt = Field(300, description="flows are netted over so long before anything is converted")
    lateness_seconds: NonNegativeInt = Field(
        30, description="what is heard so long after its window's end still counts in it"
    )
    rules: Rules = Rules()
    shadow: Rules | None = Field(None, description="rules that decide beside the others, and order nothing")
    may_split: bool = Field(True, description="several providers may share what none of them takes whole")
    cost_counts: bool = Field(False, description="choose providers by what they cost, not by their priority")
    action_max_cents: PositiveInt = Field(50_000_000, description="the most that one job may convert")
    cycle_max_cents: PositiveInt = Field(200_000_000, description="the most that may be ordered within cycle_seconds")
    cycle_seconds: PositiveInt = Field(86_400, description="how long what was ordered counts")
    approval_from_cents: PositiveInt = Field(25_000_000, description="a job of so much waits until others have agreed")
    approvers: tuple[str, ...] = Field((), description="who may approve; empty: everybody but the one who asks")
    approvals: PositiveInt = Field(1, description="how many have to agree")
    approval_seconds: PositiveInt = Field(3_600, description="what nobody agreed to for so long is denied")
    retries_max: NonNegativeInt = Field(3, description="so often a job that failed is tried again")
    retry_seconds: PositiveInt = Field(60, description="the wait before the first retry")
    retry_multiplier: Decimal = Field(Decimal(2), description="each wait is so many times the one before")
    poll_ms: PositiveInt = Field(1_000, description="providers are gone round to so often")
    ask_seconds: PositiveInt = Field(10, description="and asked about each conversion that is under way so often")
    stale_seconds: PositiveInt = Field(
        1_800, description="a job that is so long with its provider is asked about, and told of"
    )
    stuck_seconds: PositiveInt = Field(
        600, description="a job that is done at its provider and not booked for so long is told of"
    )
    health_window: PositiveInt = Field(20, description="a provider is judged by so many of its last conversions")
    health_attempts_min: PositiveInt = Field(10, description="and by none while there are fewer than this")
    health_rate_min: Decimal = Field(Decimal("0.8"), description="the share of them that has to succeed")
    failures_to_open: PositiveInt = Field(5, description="so many failures in a row, and a provider is left alone")
    open_seconds: PositiveInt = Field(60, description="for so long")
    successes_to_close: PositiveInt = Field(2, description="so many successes, and it is trusted again")
    forecast_windows: PositiveInt = Field(24, description="flows of about so many windows say how fast money moves")
    forecast_z: Decimal = Field(Decimal("1.64"), description="a forecast tells a band of so many deviations")

    @property
    def span_ms(self) -> int:
        """The length of a window."""
        return self.window_seconds * 1000

    def span(self, at_ms: int) -> Span:
        """Return the window that a moment of event time lies in."""
        start_ms = at_ms - at_ms % self.span_ms
        return Span(start_ms, start_ms + self.span_ms, self.lateness_seconds * 1000)

    @property
    def caps(self) -> Caps:
        """The most at once and within a time, in micro-dollars."""
        return Caps(
            self.action_max_cents * MICROS_PER_CENT, self.cycle_max_cents * MICROS_PER_CENT, self.cycle_seconds * 1000
        )

    @property
    def back_off(self) -> BackOff:
        """When a job is tried again."""
        return BackOff(self.retry_seconds * 1000, self.retry_multiplier, self.retries_max)

    @property
    def health(self) -> HealthPolicy:
        """Whom to trust by how it did."""
        return HealthPolicy(self.health_window, self.health_attempts_min, self.health_rate_min)

    @property
    def breaker(self) -> BreakerPolicy:
        """When to leave a provider alone."""
        return BreakerPolicy(self.failures_to_open, self.open_seconds * 1000, self.successes_to_close)
