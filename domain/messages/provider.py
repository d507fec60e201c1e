"""Who converts money for us: what a provider takes, what it says of our conversions, and how it does.

Limits are in cents, whatever currency is converted: a USDC counts as a dollar there.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.fields import AMOUNT_MAX, Balance, DecimalText, Message, Ms, Name
from domain.messages.treasury import JobName, Reason

ProviderDirection = Literal["usdc_to_usd", "usd_to_usdc", "usd_to_usd"]
Cents = Annotated[int, Field(ge=0, le=AMOUNT_MAX)]
Code = Annotated[str, Field(max_length=64)]


class ProviderConfig(Message):
    """A provider, as it is from now on; the newest word holds, also for one that is added while everything runs.

    The smallest `priority` is asked first. Secrets are no part of it: they are settings, under the provider's name.
    """

    examples = (
        '{"provider":"due","kind":"http","url":"http://127.0.0.1:8091","priority":1,"status":"active",'
        '"directions":["usdc_to_usd","usd_to_usdc","usd_to_usd"],"ticket_min_cents":10000,"ticket_max_cents":50000000,'
        '"fee_bps":"50","eta_seconds":900,"by":"anna","reason":"first provider","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    provider: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
    kind: Literal["http", "due", "zerohash"]
    url: Annotated[str, Field(max_length=256, pattern=r"^https?://[^\s]+$")]
    priority: Annotated[int, Field(ge=0)]
    status: Literal["active", "degraded", "inactive"]
    directions: tuple[ProviderDirection, ...]
    ticket_min_cents: Cents
    ticket_max_cents: Cents | None = None
    daily_max_cents: Cents | None = None
    fee_bps: DecimalText
    eta_seconds: Annotated[int, Field(ge=0)]
    by: Name
    reason: Reason
    as_of: Ms

    @model_validator(mode="after")
    def _takes_something(self) -> "ProviderConfig":
        if self.ticket_max_cents is not None and self.ticket_max_cents < self.ticket_min_cents:
            msg = f"ticket_max_cents {self.ticket_max_cents} is less than ticket_min_cents {self.ticket_min_cents}"
            raise ValueError(msg)
        if not 0 <= self.fee_bps < 10_000:
            msg = f"fee_bps {self.fee_bps} is no share of an amount in basis points"
            raise ValueError(msg)
        return self


class ProviderEvent(Message):
    """What a provider says of a conversion, in answer to a question or by itself; in any order, and as often as it likes.

    Amounts are in minor units: what it took in the source's currency, what it gave and kept in the destination's. `rate` is
    what it gave for one whole unit. `id` names the word, as the provider does, so that it may come twice.
    """

    examples = (
        '{"provider":"due","id":"evt-9","client_conversion_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","provider_tx_id":"P1",'
        '"state":"completed","source_amount":4000000,"destination_amount":39800000000,"fee_amount":200000000,'
        '"rate":"1","via":"poll","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    provider: Name
    id: Name
    client_conversion_id: Name
    provider_tx_id: Name
    state: Literal["processing", "completed", "failed", "cancelled"]
    source_amount: Balance | None = None
    destination_amount: Balance | None = None
    fee_amount: Balance | None = None
    rate: DecimalText | None = None
    error: Code | None = None
    via: Literal["poll", "webhook"]
    as_of: Ms

    @model_validator(mode="after")
    def _says_what_was_done(self) -> "ProviderEvent":
        amounts = (self.source_amount, self.destination_amount, self.fee_amount)
        if self.state == "completed" and None in amounts:
            msg = "what is completed says source_amount, destination_amount and fee_amount"
            raise ValueError(msg)
        return self


class ConversionReport(Message):
    """What is known of a request to a provider; it is open until its state is completed, failed, cancelled or not_sent."""

    examples = (
        '{"provider":"due","client_conversion_id":"6e1bc1c4a5b14f6d8f3f0a9be2f3c7d1","decision_id":"019be2d4",'
        '"state":"completed","sequence":5,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    provider: Name
    client_conversion_id: Name
    decision_id: Name
    state: Literal["reserved", "refused", "sent", "unknown", "processing", "completed", "failed", "cancelled", "not_sent"]
    reason: Annotated[str, Field(max_length=256)] | None = None
    sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class CancelReport(Message):
    """What is known of a request to let go of a conversion; the conversion's own end is told by the provider."""

    examples = (
        '{"provider":"due","client_cancel_id":"9a1bc1c4a5b14f6d8f3f0a9be2f3c7d1","decision_id":"019be2d4",'
        '"state":"accepted","sequence":5,"as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    provider: Name
    client_cancel_id: Name
    decision_id: Name
    state: Literal["reserved", "refused", "sent", "unknown", "pending", "accepted", "too_late", "not_sent"]
    reason: Annotated[str, Field(max_length=256)] | None = None
    sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class ProviderHealth(Message):
    """How a provider does: its last outcomes, its breaker, and what it has converted today."""

    provider: Name
    status: Literal["active", "degraded", "inactive"]
    is_healthy: bool
    successes: Annotated[int, Field(ge=0)]
    failures: Annotated[int, Field(ge=0)]
    breaker: Literal["closed", "open", "half_open"]
    daily_used_cents: Cents
    last_job_id: JobName | None = None
    as_of: Ms
