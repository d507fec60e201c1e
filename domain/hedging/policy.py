"""Policies: what settings say of deciding, and the facts that are decided on.

Two sets of rules exist: `reference` decides as stablesats does, with the bands alone; `guarded` adds what it takes to act on
them safely.

The reference system decides on a liability, a position and balances that were read seconds apart, and forgets what it
has under way. The guarded policy is handed everything that bears on a decision at once: what is in flight, and by
sequence numbers whether what is known of the exchange already covers what was last done there. Its decisions are in
`domain/hedging/guarded_hedge.py` and `domain/hedging/guarded_funding.py`.
"""

from dataclasses import dataclass
from decimal import Decimal
from hashlib import blake2b
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from domain.hedging.actions import Hold
from domain.hedging.limits import Limits, pause_ms
from domain.hedging.reference_funding import FundingPolicy
from domain.hedging.reference_hedge import HedgePolicy
from domain.ledger.accounts import LIABILITY


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What is known of one exchange account, and of what users are owed, at one moment of stream time.

    `exposure_cents` is negative when short. `collateral_sats` is the equity of the trading account, `funding_sats`
    the buffer beside it. `position_sequence` and `balance_sequence` are those of the newest position and balance,
    `last_..._sequence` of the last order or transfer that came to an end: a fact with a smaller sequence does not
    cover it yet. `..._refused` counts refusals in a row, `mark_cents` is the price by the venue's own account,
    `usual_price_cents` that of the last minute, `moved_today_sats` what was deposited and withdrawn since midnight in UTC.
    """

    now_ms: int
    liability_cents: int
    exposure_cents: int
    collateral_sats: int
    funding_sats: int
    price_cents: Decimal
    order_in_flight: bool = False
    transfer_in_flight: bool = False
    position_sequence: int = 0
    balance_sequence: int = 0
    last_order_sequence: int = 0
    last_transfer_sequence: int = 0
    last_order_at_ms: int | None = None
    last_transfer_at_ms: int | None = None
    orders_refused: int = 0
    transfers_refused: int = 0
    mark_cents: Decimal | None = None
    usual_price_cents: Decimal | None = None
    moved_today_sats: int = 0

    @property
    def at_venue_sats(self) -> int:
        """What lies in both pockets."""
        return self.collateral_sats + self.funding_sats

    @property
    def is_position_current(self) -> bool:
        """Whether the position covers the last order."""
        return not self.order_in_flight and self.position_sequence >= self.last_order_sequence

    @property
    def is_balance_current(self) -> bool:
        """Whether the balances cover the last transfer."""
        return not self.transfer_in_flight and self.balance_sequence >= self.last_transfer_sequence


class Freshness(BaseModel):
    """How old a fact may be that is decided upon, in milliseconds of stream time; an older one means Hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    liability_age_max_ms: PositiveInt = 20_000
    position_age_max_ms: PositiveInt = 20_000
    balance_age_max_ms: PositiveInt = 20_000
    price_age_max_ms: PositiveInt = 30_000


class Policy(BaseModel):
    """How a desk decides: by which rules, in which bands, within which limits, on facts of which age."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rules: Literal["guarded", "reference"] = Field(
        "guarded", description="reference decides as stablesats does, with the bands of hedge and funding alone"
    )
    order_contracts_max: PositiveInt = Field(5_000, description="no order is larger; one contract is 100 USD")
    order_interval_min_ms: NonNegativeInt = Field(100, description="orders keep this distance, and so do transfers")
    withdrawal_min_sats: NonNegativeInt = Field(
        100_000, description="the least that the exchange sends on chain (0.001 BTC at OKX)"
    )
    hedge: HedgePolicy = HedgePolicy()
    funding: FundingPolicy = FundingPolicy()
    limits: Limits = Limits()
    freshness: Freshness = Freshness()

    @property
    def version(self) -> str:
        """Names what is in force: another policy, in whatever detail, has another version."""
        return blake2b(self.model_dump_json().encode(), digest_size=8).hexdigest()

    def too_soon(self, what: Literal["order", "transfer"], now_ms: int, last_ms: int | None, refusals: int) -> Hold | None:
        """Hold when the last order or transfer is too near, and say whether it is the rate or the refusals in a row."""
        wait_ms = self.wait_ms(refusals)
        if last_ms is None or now_ms - last_ms >= wait_ms:
            return None
        if refusals:
            said = f"{refusals} {what}s in a row came to nothing, the last less than {wait_ms} ms ago"
            return Hold(f"{what}s_refused", said)
        return Hold(f"{what}_rate", f"the last {what} is less than {wait_ms} ms ago")

    def wait_ms(self, refusals: int) -> int:
        """Return how far the next order or transfer keeps from the last one, after so many refusals in a row."""
        return max(self.order_interval_min_ms, pause_ms(refusals, self.limits))

    @model_validator(mode="after")
    def _bands_are_in_order(self) -> "Policy":
        """A target outside its band would be left again by the next decision, for ever."""
        hedge, funding = self.hedge, self.funding
        ratios = (
            hedge.low_bound_ratio_shorting,
            hedge.low_safebound_ratio_shorting,
            hedge.high_safebound_ratio_shorting,
            hedge.high_bound_ratio_shorting,
        )
        leverages = (
            funding.low_bound_ratio_leverage,
            funding.low_safebound_ratio_leverage,
            funding.high_safebound_ratio_leverage,
            funding.high_bound_ratio_leverage * funding.high_bound_buffer_percentage,
            funding.high_bound_ratio_leverage,
        )
        if sorted(ratios) != [*ratios] or sorted(leverages) != [*leverages]:
            msg = "the safe bounds must lie between the bounds, and the high safe leverage below the buffered high bound"
            raise ValueError(msg)
        return self


class Book(NamedTuple):
    """One liability that is hedged at one venue, in one instrument, by one policy.

    `liability` is the account and currency of what is owed. With `record_all` a decision that repeats the one before is
    recorded too, and not only counted.
    """

    name: str
    venue: str
    policy: Policy = Policy()
    liability: tuple[str, str] = LIABILITY
    instrument: str = "BTC-USD-SWAP"
    record_all: bool = False
