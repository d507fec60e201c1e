"""The reference funding decision: which bitcoin to move so that the hedge stays backed.

Bitcoin at the exchange lies in two pockets. The *trading* account is the collateral of the short: too little and the
position is liquidated, too much and the exchange holds more of our money than it must. The *funding* account is a
buffer beside it, because bitcoin from our own wallet needs a block to arrive. Leverage, exposure over collateral, is
kept inside a band by moves between the pockets, and the buffer by deposits and withdrawals. One move per decision;
the rest follows at the next.

The ten branches and their order are stablesats', decision for decision, and its defects with them; they are put right
in `domain/hedging/guarded_funding.py`. Amounts in bitcoin are decimals as the reference computes them, actions are whole
satoshis.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.hedging.actions import Deposit, FundingAction, FundingToTrading, Hold, Nothing, TradingToFunding, Withdraw
from domain.messages.fields import DecimalText
from domain.money import MONEY, btc_from_sats, floor_sats, is_amount, is_price, round_contract_cents, round_sats

_Ratio = Annotated[DecimalText, Field(gt=0)]
_ZERO = Decimal(0)


class FundingPolicy(BaseModel):
    """The band of leverage, its safe targets, and the buffer. Names and defaults are the reference system's."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    minimum_transfer_amount_cents: int = Field(10_000, ge=0, description="smaller transfers are not worth it")
    minimum_funding_balance_btc: DecimalText = Field(Decimal(1), description="kept in the funding account")
    low_bound_ratio_leverage: _Ratio = Field(Decimal(2), description="below it, collateral goes back")
    low_safebound_ratio_leverage: _Ratio = Field(Decimal(3), description="collateral that goes back aims here")
    high_safebound_ratio_leverage: _Ratio = Field(Decimal(3), description="collateral that comes aims here")
    high_bound_ratio_leverage: _Ratio = Field(Decimal(4), description="never above it")
    high_bound_buffer_percentage: _Ratio = Field(Decimal("0.9"), description="act at this share of the bound")
    minimum_liability_threshold_cents: int = Field(5_000, ge=0, description="a smaller liability needs no collateral")


def split_deposit(funding_btc: Decimal, amount_btc: Decimal, minimum_btc: Decimal) -> tuple[Decimal, Decimal]:
    """How `amount_btc` reaches the trading account: what the buffer gives, and what a deposit adds and refills."""
    with localcontext(MONEY):
        internal = min(funding_btc, amount_btc)
        refill = max(_ZERO, minimum_btc - (funding_btc - internal))
        return internal, amount_btc - internal + refill


def split_withdraw(funding_btc: Decimal, amount_btc: Decimal, minimum_btc: Decimal) -> tuple[Decimal, Decimal]:
    """How `amount_btc` leaves the trading account: what moves to the buffer, and what the buffer then has too much."""
    with localcontext(MONEY):
        return amount_btc, max(_ZERO, amount_btc + funding_btc - minimum_btc)


@dataclass(frozen=True, slots=True)
class _Facts:
    """The inputs as the branches read them; `liability_btc` is of whole contracts, `dust_btc` counts as none."""

    liability_cents: Decimal
    liability_btc: Decimal
    exposure_btc: Decimal
    collateral_btc: Decimal
    funding_btc: Decimal
    dust_btc: Decimal


def decide_funding_reference(
    liability_cents: Decimal | int,
    exposure_cents: Decimal | int,
    collateral_btc: Decimal,
    price_cents: Decimal,
    funding_btc: Decimal,
    policy: FundingPolicy,
) -> FundingAction:
    """Return the one move to make; its rule is `branch_1` to `branch_10`.

    `collateral_btc` is the equity of the trading account, which may be negative, `funding_btc` the buffer,
    `price_cents` is for one bitcoin. The reference system stops on a negative liability and on a price of zero; here
    they are a `Hold`.
    """
    liability, exposure = Decimal(liability_cents), Decimal(exposure_cents)
    if not all(is_amount(number) for number in (liability, exposure, collateral_btc, funding_btc)):
        return Hold("not_an_amount", "a liability, an exposure or a balance is beyond any amount of money")
    if liability < 0:
        return Hold("liability_negative", "users owe us dollars, which no trade can bring about")
    if not is_price(price_cents):
        return Hold("price_unusable", f"{price_cents} cents is no price of a bitcoin")
    with localcontext(MONEY):
        facts = _Facts(
            liability,
            round_contract_cents(liability) / price_cents,
            abs(exposure) / price_cents,
            collateral_btc,
            funding_btc,
            Decimal(policy.minimum_transfer_amount_cents) / 10 / price_cents,
        )
        return _without_position(facts, policy) or _with_position(facts, policy)


def _without_position(facts: _Facts, policy: FundingPolicy) -> FundingAction | None:
    """Branches 1 to 4: the beginning and the end, when nothing is hedged."""
    if facts.exposure_btc != 0:
        return None
    begins = facts.liability_cents > policy.minimum_liability_threshold_cents
    ends = facts.liability_cents < policy.minimum_transfer_amount_cents
    if facts.collateral_btc == 0 and begins:
        missing = _missing(facts.liability_btc, facts, policy)
        if facts.funding_btc < facts.dust_btc:
            return _deposit(missing, facts, policy, 1, "there is a liability and no collateral anywhere")
        amount = min(facts.funding_btc, missing)
        return _to_trading(amount, 2, "there is a liability and no collateral in the trading account")
    if facts.collateral_btc > 0 and ends:
        return _to_funding(facts.collateral_btc, 3, "nothing is left to back")
    if facts.collateral_btc == 0 and ends and facts.funding_btc >= facts.dust_btc:
        return _withdraw(facts.funding_btc, 4, "nothing is left to back, at the exchange")
    return None


def _with_position(facts: _Facts, policy: FundingPolicy) -> FundingAction:
    """Branches 5 to 10: leverage and buffer while there is something to back."""
    collateral, exposed = facts.collateral_btc, facts.exposure_btc != 0
    buffer, share = policy.minimum_funding_balance_btc, policy.high_bound_buffer_percentage
    grows = facts.liability_cents > policy.minimum_liability_threshold_cents
    if grows and facts.liability_btc > collateral * policy.high_bound_ratio_leverage:
        return _fill(facts.liability_btc, facts, policy, 5, "the liability outgrows its collateral")
    if facts.exposure_btc < collateral * policy.low_bound_ratio_leverage:
        excess = collateral - facts.exposure_btc / policy.low_safebound_ratio_leverage
        return _to_funding(excess, 6, "the collateral is more than the position needs")
    if exposed and facts.funding_btc > buffer / share:
        return _withdraw(facts.funding_btc - buffer, 7, "the buffer is more than it should be")
    if facts.exposure_btc > collateral * share * policy.high_bound_ratio_leverage:
        return _fill(facts.exposure_btc, facts, policy, 8, "the position comes close to liquidation")
    if exposed and facts.funding_btc < buffer * share:
        return _deposit(_ZERO, facts, policy, 9, "the buffer is less than it should be")
    return Nothing("branch_10", "leverage and buffer are inside their bands")


def _missing(backed_btc: Decimal, facts: _Facts, policy: FundingPolicy) -> Decimal:
    """What the trading account lacks for the safe leverage, in whole satoshis, half to even."""
    lacking = backed_btc / policy.high_safebound_ratio_leverage - facts.collateral_btc
    return btc_from_sats(round_sats(lacking))


def _fill(backed_btc: Decimal, facts: _Facts, policy: FundingPolicy, branch: int, reason: str) -> FundingAction:
    missing = _missing(backed_btc, facts, policy)
    internal = min(facts.funding_btc, missing)
    if internal != 0:
        return _to_trading(internal, branch, reason)
    return _deposit(missing, facts, policy, branch, reason)


def _deposit(missing: Decimal, facts: _Facts, policy: FundingPolicy, branch: int, reason: str) -> FundingAction:
    external = split_deposit(facts.funding_btc, missing, policy.minimum_funding_balance_btc)[1]
    return _sized(Deposit, round_sats(external), branch, reason)


def _to_trading(amount: Decimal, branch: int, reason: str) -> FundingAction:
    return _sized(FundingToTrading, floor_sats(amount), branch, reason)


def _to_funding(amount: Decimal, branch: int, reason: str) -> FundingAction:
    return _sized(TradingToFunding, floor_sats(amount), branch, reason)


def _withdraw(amount: Decimal, branch: int, reason: str) -> FundingAction:
    return _sized(Withdraw, floor_sats(amount), branch, reason)


_Move = type[Deposit] | type[Withdraw] | type[FundingToTrading] | type[TradingToFunding]


def _sized(move: _Move, amount_sats: int, branch: int, reason: str) -> FundingAction:
    """The move, or nothing if it comes to nothing; the branch that fired is named either way."""
    if amount_sats > 0:
        return move(amount_sats, f"branch_{branch}", reason)
    return Nothing(f"branch_{branch}", f"{reason}, by less than a satoshi")
