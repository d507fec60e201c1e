"""What a provider says of our conversions, the same for every provider, real or simulated.

Amounts are in minor units: of the source's currency what it took, of the destination's what it gave and what it kept.
`sequence` grows with what a provider says, so a word with a larger one is newer; `id` names the word and stays the same however
often it is said. What a provider says in whole units is made minor units exactly, or not at all.
"""

from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.messages.fields import Amount, Balance, DecimalText, Ms, Name
from domain.messages.provider import Code, ProviderEvent
from domain.messages.treasury import BufferCurrency
from domain.money import DECIMALS, decimal_from_text

ConversionWord = Literal["processing", "completed", "failed", "cancelled"]
CancelWord = Literal["accepted", "too_late"]
Natural = Annotated[int, Field(ge=0)]


class Said(BaseModel):
    """A word of a provider."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class ConversionState(Said):
    """A conversion as its provider sees it."""

    id: Name
    client_conversion_id: Name
    provider_tx_id: Name
    state: ConversionWord
    sequence: Natural
    source_amount: Balance | None = None
    destination_amount: Balance | None = None
    fee_amount: Balance | None = None
    rate: DecimalText | None = None
    error: Code | None = None
    at_ms: Ms

    @model_validator(mode="after")
    def _says_what_was_done(self) -> "ConversionState":
        if self.state == "completed" and None in (self.source_amount, self.destination_amount, self.fee_amount):
            msg = "what is completed says source_amount, destination_amount and fee_amount"
            raise ValueError(msg)
        return self


class CancelState(Said):
    """What became of a request to let go of a conversion."""

    client_cancel_id: Name
    client_conversion_id: Name
    state: CancelWord
    sequence: Natural
    at_ms: Ms


class Quote(Said):
    """What a provider would take and give for an amount now; binding for nobody."""

    source_amount: Natural
    destination_amount: Natural
    fee_amount: Natural
    rate: DecimalText


class StatementLine(Said):
    """A movement of our money at a provider: a minus is what it took from us, a plus what it gave us."""

    id: Name
    at_ms: Ms
    currency: BufferCurrency
    amount: Amount
    client_conversion_id: Name
    provider_tx_id: Name


def event_of(provider: str, state: ConversionState, via: Literal["poll", "webhook"]) -> ProviderEvent:
    """Return the message of a word, by whichever way it came."""
    said = state.model_dump(exclude={"at_ms", "sequence"})
    return ProviderEvent(provider=provider, via=via, as_of=state.at_ms, **said)


def minor_units(text: str, currency: str) -> int:
    """Return the minor units of an amount in whole units; ValueError when it is finer than they are, or no number."""
    value = decimal_from_text(text)
    if value is None:
        msg = f"{text!r} is no amount of {currency}"
        raise ValueError(msg)
    amount = Fraction(value) * int(10 ** DECIMALS[currency])
    if amount.denominator != 1:
        msg = f"{text} {currency} is finer than {DECIMALS[currency]} digits"
        raise ValueError(msg)
    return int(amount)


def whole_text(amount: int, currency: str) -> str:
    """Return an amount in whole units, with all of its digits: 4000000 cents are 40000.00."""
    digits = DECIMALS[currency]
    whole, part = divmod(abs(amount), 10**digits)
    return f"{'-' if amount < 0 else ''}{whole}.{part:0{digits}d}"
