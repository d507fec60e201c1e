"""What the simulated provider knows of us: its terms, its books, our conversions.

The books are double entry, per currency: money only ever moves from one pot to another, so the pots of a currency add up to zero
at all times. `customer` is ours, `held` what a conversion under way has taken from us, `inventory` and `fees` are the provider's.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Annotated, NamedTuple, Protocol

from pydantic import BaseModel, ConfigDict, Field

from domain.messages.fields import DecimalText
from domain.messages.treasury import BufferCurrency
from domain.money import DECIMALS
from domain.treasury.conversion import CancelState, ConversionState, ConversionWord, Natural, Quote, StatementLine
from domain.treasury.fees import BASIS_POINTS

AMOUNT_INVALID = "amount_invalid"
CONFLICT = "conflict"
EXPIRED = "expired"
NOT_FOUND = "not_found"
UNAVAILABLE = "temporarily_unavailable"
UNSUPPORTED = "unsupported_pair"

Pair = tuple[BufferCurrency, BufferCurrency]
POTS = ("customer", "held", "inventory", "fees")


class ProviderTerms(BaseModel):
    """How this provider converts; times in milliseconds, limits in minor units of the source's currency.

    `rates` has the price of a whole unit of the first currency in the second, under "USDC/USD"; a pair that is missing is not
    converted. A look-up finds nothing until `visible_after_ms` have passed since acceptance.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    fee_bps: DecimalText = Decimal(50)
    rates: Mapping[str, DecimalText] = {"USDC/USD": Decimal(1), "USD/USDC": Decimal(1), "USD/USD": Decimal(1)}
    eta_ms: Natural = 2_000
    visible_after_ms: Natural = 0
    amount_min: Natural = 1
    amount_max: Natural = 10**30


class Wanted(Protocol):
    """A request to convert, as far as the provider looks at it."""

    @property
    def client_conversion_id(self) -> str: ...
    @property
    def source_currency(self) -> BufferCurrency: ...
    @property
    def destination_currency(self) -> BufferCurrency: ...
    @property
    def amount(self) -> int: ...


class CancelWanted(Protocol):
    """A request to let go of a conversion, as far as the provider looks at it."""

    @property
    def client_cancel_id(self) -> str: ...
    @property
    def client_conversion_id(self) -> str: ...


class Conversion(BaseModel):
    """A conversion at the provider, worked on at `due_ms` until it is done; `sequence` is that of its newest word."""

    client_conversion_id: str
    provider_tx_id: str
    source_currency: BufferCurrency
    destination_currency: BufferCurrency
    quote: Quote
    accepted_at_ms: int
    due_ms: int
    state: ConversionWord = "processing"
    is_done: bool = False
    sequence: int = 0

    @property
    def pair(self) -> Pair:
        return self.source_currency, self.destination_currency


def empty_books() -> dict[str, dict[str, int]]:
    """Return a pot of each kind in every currency, with nothing in it."""
    return {currency: dict.fromkeys(POTS, 0) for currency in ("USDC", "USD")}


class Account(BaseModel):
    """Everything of the account that is not a conversion; `at_ms` never goes back."""

    name: str = "main"
    sequence: Annotated[int, Field(ge=0)] = 0
    at_ms: int = 0
    books: dict[str, dict[str, int]] = Field(default_factory=empty_books)


class Kept(NamedTuple):
    """Everything that must survive a restart, conversions in the order of their acceptance."""

    account: Account
    conversions: Sequence[Conversion]
    cancels: Sequence[CancelState]
    changes: Sequence[ConversionState]
    statement: Sequence[StatementLine]


def quoted(terms: ProviderTerms, pair: Pair, amount: int) -> Quote | None:
    """Return what an amount gives, the fee rounded half to even; None where the pair is not converted."""
    rate = terms.rates.get("/".join(pair))
    if rate is None:
        return None
    source, destination = pair
    gross = round(amount * Fraction(rate) * Fraction(10) ** (DECIMALS[destination] - DECIMALS[source]))
    fee = round(gross * Fraction(terms.fee_bps) / BASIS_POINTS)
    return Quote(source_amount=amount, destination_amount=gross - fee, fee_amount=fee, rate=rate)
