"""Buffers: what moves in and out of them, what they are kept between, what was decided, and the life of a conversion.

Amounts are in minor units of the currency that they are of: cents of a dollar, millionths of a USDC.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from domain.messages.decisions import Decision
from domain.messages.fields import AMOUNT_MAX, PRINTABLE, Balance, DecimalText, Message, Ms, Name, NonZeroAmount

BufferName = Literal["system_buffer_usdc", "system_buffer_fiat", "broker_operational"]
BufferCurrency = Literal["USDC", "USD"]
FlowCause = Literal["deposit", "withdrawal", "funding"]
Model = Literal["fixed", "miller_orr", "service_level", "share_of_assets", "newsvendor"]
JobCause = Literal["buffer_replenishment", "emergency", "scheduled_rebalance", "manual"]
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
Reason = Annotated[str, Field(min_length=1, max_length=256, pattern=PRINTABLE)]
PositiveAmount = Annotated[int, Field(gt=0, le=AMOUNT_MAX)]
JobName = Annotated[str, Field(min_length=1, max_length=96, pattern=PRINTABLE)]

ParameterKind = Literal["amount", "rate", "share", "probability", "days", "year"]
PARAMETERS: Mapping[Model, Mapping[str, ParameterKind]] = {
    "fixed": {},
    "miller_orr": {"lower": "amount", "cost_per_transfer": "amount", "annual_rate": "rate", "days_per_year": "year"},
    "service_level": {"lead_time_days": "days", "service": "probability"},
    "share_of_assets": {"assets": "amount", "share": "share", "floor": "amount"},
    "newsvendor": {"cost_under": "rate", "cost_over_annual": "rate", "days_per_year": "year"},
}
"""What each model wants to be told; amounts are in minor units of the buffer's currency."""

_RANGES: Mapping[ParameterKind, tuple[Callable[[Decimal], bool], str]] = {
    "amount": (lambda value: 0 < value <= AMOUNT_MAX, "an amount above zero, in minor units"),
    "rate": (lambda value: 0 < value <= 100, "a rate above zero"),
    "share": (lambda value: 0 < value <= 1, "a share above zero, and at most one"),
    "probability": (lambda value: 0 < value < 1, "a probability between zero and one"),
    "days": (lambda value: 0 < value <= 366, "days above zero, and at most a year"),
    "year": (lambda value: value in (360, 365, 366), "360, 365 or 366"),
}


def parameters_trouble(model: Model, parameters: Mapping[str, Decimal]) -> str | None:
    """Return in a sentence what is wrong with the parameters of a model, None if nothing is."""
    wanted = PARAMETERS[model]
    if parameters.keys() != wanted.keys():
        return f"{model} wants the parameters {', '.join(wanted) or 'none'}; there are {', '.join(parameters) or 'none'}"
    for name, value in parameters.items():
        fits, words = _RANGES[wanted[name]]
        if not fits(value):
            return f"{name} has to be {words}; it is {value}"
    return None


class BufferFlow(Message):
    """Money that came into a buffer, or left it with a minus; it counts in the window of `effective_at`.

    A deposit and a withdrawal are customers' money, funding is our own. `reverts` names a flow that never was: its amount is
    then that of the flow with the other sign.
    """

    examples = (
        '{"id":"deposit 17","buffer":"system_buffer_usdc","amount":2500000000,"cause":"deposit",'
        '"effective_at":"2026-01-31T12:00:00Z"}',
        '{"id":"withdrawal 18","buffer":"system_buffer_fiat","amount":-120000,"cause":"withdrawal",'
        '"effective_at":"2026-01-31T12:00:05Z"}',
    )
    happened = "effective_at"

    id: Name
    buffer: BufferName
    amount: NonZeroAmount
    cause: FlowCause
    reverts: Name | None = None
    effective_at: Ms

    @model_validator(mode="after")
    def _goes_the_way_of_its_cause(self) -> "BufferFlow":
        comes = (self.amount > 0) == (self.reverts is None)
        if (self.cause, comes) in (("deposit", False), ("withdrawal", True)):
            msg = f"a {self.cause} {'takes money out of' if self.cause == 'withdrawal' else 'brings money into'} a buffer"
            raise ValueError(msg)
        return self


class BufferThresholds(Message):
    """What a buffer is kept between, from now on; the newest word holds.

    `batch` is what orders may be rounded up to. With another `model` than fixed the three follow from how money moves, by
    `parameters`; those told here hold until enough of it was seen.
    """

    examples = (
        '{"buffer":"system_buffer_usdc","min":10000000000,"target":50000000000,"max":100000000000,"batch":20000000000,'
        '"by":"anna","reason":"first thresholds","as_of":"2026-01-31T12:00:00Z"}',
    )
    happened = "as_of"

    buffer: BufferName
    min: PositiveAmount
    target: PositiveAmount
    max: PositiveAmount
    batch: PositiveAmount
    model: Model = "fixed"
    parameters: dict[Name, DecimalText] = Field({})
    by: Name
    reason: Reason
    as_of: Ms

    @model_validator(mode="after")
    def _can_be_kept(self) -> "BufferThresholds":
        if not self.min < self.target < self.max:
            msg = f"min < target < max does not hold: {self.min}, {self.target}, {self.max}"
            raise ValueError(msg)
        if trouble := parameters_trouble(self.model, self.parameters):
            raise ValueError(trouble)
        return self


class Obligation(Message):
    """What one entity owes another, to be netted with all others of its window; dollars in cents."""

    examples = ('{"id":"owed 1","debtor":"A","creditor":"B","amount_cents":10000,"effective_at":"2026-01-31T12:00:00Z"}',)
    happened = "effective_at"

    id: Name
    debtor: Name
    creditor: Name
    amount_cents: PositiveAmount
    effective_at: Ms

    @model_validator(mode="after")
    def _is_between_two(self) -> "Obligation":
        if self.debtor == self.creditor:
            msg = "debtor and creditor are the same entity"
            raise ValueError(msg)
        return self


class TreasuryDecision(Decision):
    """What was decided about one buffer at the end of a window, or at once; `venue` is the buffer, the unit is micro-dollars.

    `book` is live, or shadow for what another policy would have done.
    """


class ConversionRequest(Message):
    """What is asked of a provider: take an amount out of one buffer, put what it is worth into another.

    The first attempt at a job and each later one, which is made only when the one before came to nothing, has an id of its own.
    """

    decision_id: Name
    client_conversion_id: Name
    job_id: JobName
    attempt: Annotated[int, Field(ge=1)]
    provider: Name
    source: BufferName
    destination: BufferName
    source_currency: BufferCurrency
    destination_currency: BufferCurrency
    amount: PositiveAmount
    based_on_sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class ConversionCancel(Message):
    """A provider is asked to let go of a conversion that it has not carried out."""

    decision_id: Name
    client_cancel_id: Name
    client_conversion_id: Name
    job_id: JobName
    provider: Name
    based_on_sequence: Annotated[int, Field(ge=0)] = 0
    as_of: Ms


class JobChange(Message):
    """A conversion job after one step of its life; `sequence` counts the steps of a job."""

    job_id: JobName
    sequence: Annotated[int, Field(ge=1)]
    decision_id: Name
    cause: JobCause
    state: JobState
    source: BufferName
    destination: BufferName
    amount: PositiveAmount
    expected: PositiveAmount
    ordered_at: Ms
    window_end: Ms | None = None
    attempt: Annotated[int, Field(ge=0)] = 0
    retries: Annotated[int, Field(ge=0)] = 0
    provider: Name | None = None
    client_conversion_id: Name | None = None
    provider_tx_id: str | None = None
    awaits_approval: bool = False
    asked_by: Name | None = None
    due_at: Ms | None = None
    submitted_at: Ms | None = None
    eta_at: Ms | None = None
    received: Balance | None = None
    fee: Balance | None = None
    error: str | None = None
    reason: str | None = None
    is_late: bool = False
    as_of: Ms


class NetWindow(Message):
    """What a window came to in one buffer: its sum, the lowest and the last amount, all movement, and what came too late."""

    buffer: BufferName
    start: Ms
    end: Ms
    flows: Annotated[int, Field(ge=0)]
    late: Annotated[int, Field(ge=0)]
    open: Balance
    close: Balance
    low: Balance
    net: Balance
    gross: Balance
    as_of: Ms


class NetSettlement(Message):
    """What the obligations of a window come to when all entities settle at once: who gets what, and who pays whom."""

    end: Ms
    net_cents: dict[str, int]
    gross_cents: Balance
    settled_cents: Balance
    payments: tuple[tuple[str, str, int], ...]
    as_of: Ms


class BufferLevel(Message):
    """A buffer as it stands: what is posted, on its way and promised, its thresholds, and when it may be empty.

    `falls_below_min_at` is when the position falls under the minimum at the present rate, with the earliest and the latest
    time that are likely; None where it does not.
    """

    buffer: BufferName
    currency: BufferCurrency
    posted: Balance
    in_flight: Balance
    reserved: Balance
    min: PositiveAmount
    target: PositiveAmount
    max: PositiveAmount
    batch: PositiveAmount
    model: Model
    status: Literal["CRITICAL_LOW", "BELOW_TARGET", "HEALTHY", "OVER_CAPITALIZED"]
    control: Literal["active", "reducing", "halted"]
    falls_below_min_at: Ms | None = None
    falls_earliest_at: Ms | None = None
    falls_latest_at: Ms | None = None
    as_of: Ms


def job_id(cause: str, buffer: str, window_end_ms: int, part: int = 0) -> str:
    """Return the key of a job: a buffer and a window have one for each part of what is ordered."""
    end = datetime.fromtimestamp(window_end_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"{cause}:{buffer}:{end}" + (f":{part}" if part else "")
