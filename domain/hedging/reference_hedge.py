"""The reference hedge decision: the order that brings a short back inside its band.

Dollars that users are owed are hedged by a short of the same worth. The short is left alone while the ratio of
exposure to liability stays inside a band. Below it the short grows to the near side of a narrower safe band, above it
the short shrinks to the far side, so that a hedge that was just set right does not leave the band at the next small
trade. A liability too small to hedge has its position closed. This is stablesats' rule, decision for decision; what
is wrong with it is put right in `domain/hedging/guarded_hedge.py`.
"""

from decimal import Decimal, localcontext

from pydantic import BaseModel, ConfigDict, Field

from domain.hedging.actions import Buy, Close, HedgeAction, Hold, Nothing, Sell
from domain.messages.fields import DecimalText
from domain.money import MONEY, is_amount, plain, round_contracts


class HedgePolicy(BaseModel):
    """The band and the safe band as ratios of short to liability, and the liability below which nothing is hedged.

    Names and defaults are the reference system's (`exchanges.okex.config.hedging`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    low_bound_ratio_shorting: DecimalText = Field(Decimal("0.95"), description="below it, sell")
    low_safebound_ratio_shorting: DecimalText = Field(Decimal("0.98"), description="a sale aims here")
    high_safebound_ratio_shorting: DecimalText = Field(Decimal("1.00"), description="a purchase aims here")
    high_bound_ratio_shorting: DecimalText = Field(Decimal("1.03"), description="above it, buy")
    minimum_liability_threshold_cents: int = Field(5_000, ge=0, description="a smaller liability is not hedged")


def decide_hedge_reference(
    liability_cents: Decimal | int, exposure_cents: Decimal | int, policy: HedgePolicy
) -> HedgeAction:
    """Return the order for a liability and a signed exposure, negative when short.

    Both bounds of the band are inside it. Contracts are rounded half to even, and none is nothing.
    """
    liability, exposure = Decimal(liability_cents), Decimal(exposure_cents)
    if not (is_amount(liability) and is_amount(exposure)):
        return Hold("not_an_amount", "the liability or the exposure is beyond any amount of money")
    if liability < 0:
        return Hold("liability_negative", f"users owe us {plain(-liability)} cents, which no trade can bring about")
    with localcontext(MONEY):
        if liability < policy.minimum_liability_threshold_cents or liability == 0:
            return _close(liability, exposure)
        return _hold_band(liability, exposure, policy)


def _close(liability: Decimal, exposure: Decimal) -> HedgeAction:
    if exposure == 0:
        return Nothing("flat", f"{plain(liability)} cents are too few to hedge, and there is no position")
    return Close("below_minimum_liability", f"{plain(liability)} cents are too few to hedge")


def _hold_band(liability: Decimal, exposure: Decimal, policy: HedgePolicy) -> HedgeAction:
    size, ratio = abs(exposure), exposure / -liability
    low_target = liability * policy.low_safebound_ratio_shorting
    high_target = liability * policy.high_safebound_ratio_shorting
    if ratio < 0:
        return _sell(round_contracts(low_target + size), "long", "the position is long where a short is owed")
    if ratio < policy.low_bound_ratio_shorting:
        why = f"the short is {_percent(ratio)} of the liability, below {_percent(policy.low_bound_ratio_shorting)}"
        return _sell(abs(round_contracts(low_target - size)), "below_low_bound", why)
    if ratio > policy.high_bound_ratio_shorting:
        why = f"the short is {_percent(ratio)} of the liability, above {_percent(policy.high_bound_ratio_shorting)}"
        return _buy(abs(round_contracts(size - high_target)), "above_high_bound", why)
    return Nothing("in_band", f"the short is {_percent(ratio)} of the liability, inside its band")


def _sell(contracts: int, rule: str, reason: str) -> HedgeAction:
    return Sell(contracts, rule, reason) if contracts else Nothing(rule, f"{reason}, by less than half a contract")


def _buy(contracts: int, rule: str, reason: str) -> HedgeAction:
    return Buy(contracts, rule, reason) if contracts else Nothing(rule, f"{reason}, by less than half a contract")


def _percent(ratio: Decimal) -> str:
    return f"{ratio * 100:.2f} %"
