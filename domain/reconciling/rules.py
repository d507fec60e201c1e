"""What settings say of comparing: how much may differ, for how long something may be on its way, and how bad a break is."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import blake2b

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from domain.messages.fields import DecimalText
from domain.messages.recon import Severity

SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
Bounds = tuple[int, int, int]

BOUNDS: Mapping[str, Bounds] = {
    "USD": (100, 10_000, 100_000),
    "USDC": (1_000_000, 100_000_000, 1_000_000_000),
    "BTC": (2_000, 200_000, 2_000_000),
}
"""Up to one dollar is low, up to a hundred medium, up to a thousand high; of bitcoin what that was at 50,000 dollars, so that no
price changes how bad a break is."""


class Rules(BaseModel):
    """How an account is compared with what a source says of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tolerance: NonNegativeInt = Field(0, description="in minor units: what a line, or the whole, may differ by")
    tolerance_ratio: DecimalText = Field(
        Decimal(0),
        ge=0,
        lt=1,
        description='the same of a line, as a part of its amount, such as "0.01"; the larger of both holds',
    )
    window_seconds: PositiveInt = Field(86_400, description="how far apart in time a line and its entry may be")
    transit_seconds: NonNegativeInt = Field(
        86_400, description="what is younger and on one side only is in transit, and no break"
    )
    bounds: dict[str, Bounds] = Field(
        {}, description="by currency, in minor units: the most that is low, medium, high; dollars and bitcoin have their own"
    )

    @model_validator(mode="after")
    def _bounds_grow(self) -> "Rules":
        for currency, bounds in self.bounds.items():
            if not 0 <= bounds[0] <= bounds[1] <= bounds[2]:
                msg = f"the bounds of {currency} have to grow: low, medium, high"
                raise ValueError(msg)
        return self

    @property
    def version(self) -> str:
        """A digest of all of it, so that a report says by which rules it came about."""
        return blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()

    @property
    def window_ms(self) -> int:
        return self.window_seconds * 1000

    @property
    def transit_ms(self) -> int:
        return self.transit_seconds * 1000

    def may_differ(self, amount: int) -> int:
        """Return by how much an entry may differ from a line of this amount."""
        part, whole = self.tolerance_ratio.as_integer_ratio()
        return max(self.tolerance, abs(amount) * part // whole)

    def severity(self, amount: int, currency: str) -> Severity:
        """Return how bad a break of this amount is; in a currency without bounds, as bad as can be."""
        return severity(amount, self.bounds_of(currency))

    def bounds_of(self, currency: str) -> Bounds:
        """Return the most that is low, medium and high in a currency."""
        return self.bounds.get(currency) or BOUNDS.get(currency, (0, 0, 0))


def severity(amount: int, bounds: Bounds) -> Severity:
    """Return how bad a difference is: a bound is still within what it bounds."""
    return SEVERITIES[sum(abs(amount) > bound for bound in bounds)]
