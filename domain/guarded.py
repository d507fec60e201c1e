"""The guarded policy: the reference's bands, and what it takes to act on them safely.

The reference system decides on a liability, a position and balances that were read seconds apart, and forgets what it
has under way. The guarded policy is handed everything that bears on a decision at once: what is in flight, and by
sequence numbers whether what is known of the exchange already covers what was last done there. Its decisions are in
`domain/guarded_hedging.py` and `domain/guarded_funding.py`.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.funding import FundingPolicy
from domain.hedging import HedgePolicy


@dataclass(frozen=True, slots=True)
class VenueFacts:
    """What is known of one exchange account, and of what users are owed, at one moment of stream time.

    `exposure_cents` is negative when short. `collateral_sats` is the equity of the trading account, `funding_sats`
    the buffer beside it. `position_sequence` and `balance_sequence` are those of the newest position and balance,
    `last_..._sequence` of the last order or transfer that came to an end: a fact with a smaller sequence does not
    cover it yet.
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

    @property
    def is_position_current(self) -> bool:
        """Whether the position covers the last order."""
        return not self.order_in_flight and self.position_sequence >= self.last_order_sequence

    @property
    def is_balance_current(self) -> bool:
        """Whether the balances cover the last transfer."""
        return not self.transfer_in_flight and self.balance_sequence >= self.last_transfer_sequence


class GuardedPolicy(BaseModel):
    """The reference's two policies and the limits on top of them.

    `order_contracts_max` caps one order, `order_interval_min_ms` is the least time between two. `withdrawal_min_sats`
    is the least that the exchange sends on chain (0.001 BTC at OKX).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    hedge: HedgePolicy = HedgePolicy()
    funding: FundingPolicy = FundingPolicy()
    order_contracts_max: Annotated[int, Field(gt=0)] = 1_000
    order_interval_min_ms: Annotated[int, Field(ge=0)] = 2_000
    withdrawal_min_sats: Annotated[int, Field(ge=0)] = 100_000

    @model_validator(mode="after")
    def _bands_are_in_order(self) -> "GuardedPolicy":
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
