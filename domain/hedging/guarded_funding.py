"""The guarded funding decision: the reference's bands of leverage and buffer, without its flapping.

Everything is judged on what has to be *backed*, the larger of liability and position. So collateral that has just
come in for a short that is not yet sold is not sent back, and a liability between the hedge's threshold and the
smallest transfer does not move bitcoin to and fro. What goes in comes first: the trading account is filled before
anything may leave. What goes out waits until the hedge is known and inside its band, because a pending order may need
the very same bitcoin.

    nothing in flight, facts usable  ->  fill the trading account  ->  empty what is too much  ->  keep the buffer

What is decided is cut to the limits of `domain/hedging/limits.py` at last.
"""

from dataclasses import dataclass
from decimal import Decimal, localcontext

from domain.hedging.actions import Deposit, FundingAction, FundingToTrading, Hold, Nothing, TradingToFunding, Withdraw
from domain.hedging.guarded_hedge import is_hedged
from domain.hedging.limits import cut_transfer, price_doubt
from domain.hedging.policy import Policy, VenueFacts
from domain.money import (
    MONEY,
    SATS_PER_BTC,
    floor,
    is_amount,
    is_price,
    round_contract_cents,
    round_half_even,
    round_sats,
)


@dataclass(frozen=True, slots=True)
class Backing:
    """What has to be backed, in satoshis at the present price: by the liability, by the position, by the larger one.

    `dust_sats` is the least that is worth moving, `buffer_sats` what should lie in the funding account: nothing, when
    there is nothing to back.
    """

    liability_sats: Decimal
    exposure_sats: Decimal
    larger_sats: Decimal
    dust_sats: int
    buffer_sats: int


def decide_funding_guarded(facts: VenueFacts, policy: Policy) -> FundingAction:
    """Return the one move of bitcoin to make now, or the reason to wait. No facts make it raise."""
    wanted = _unusable(facts, policy) or _wanted(facts, policy)
    if isinstance(wanted, Nothing | Hold):
        return wanted
    held = policy.too_soon("transfer", facts.now_ms, facts.last_transfer_at_ms, facts.transfers_refused)
    return held or _worth_it(cut_transfer(wanted, facts.at_venue_sats, facts.moved_today_sats, policy.limits), policy)


def _worth_it(cut: FundingAction, policy: Policy) -> FundingAction:
    if isinstance(cut, Withdraw) and cut.amount_sats < policy.withdrawal_min_sats:
        return Hold("limit_below_minimum", f"what the limits leave is less than a withdrawal: {cut.reason}")
    return cut


def _wanted(facts: VenueFacts, policy: Policy) -> FundingAction:
    with localcontext(MONEY):
        backing = backing_of(facts, policy)
        fill = _fill(facts, backing, policy)
        if fill:
            return fill
        wanted = _empty(facts, backing, policy) or _keep_buffer(facts, backing, policy)
    if isinstance(wanted, TradingToFunding | Withdraw):
        return _only_when_hedged(wanted, facts, policy)
    return wanted


def _unusable(facts: VenueFacts, policy: Policy) -> Hold | None:
    amounts = (facts.liability_cents, facts.exposure_cents, facts.collateral_sats, facts.funding_sats)
    if facts.transfer_in_flight:
        return Hold("transfer_in_flight", "a transfer is in flight, and its bitcoin is in neither pocket")
    if not facts.is_balance_current:
        return Hold("balance_behind_transfer", "the balances are older than the last transfer that was finished")
    if facts.liability_cents < 0:
        return Hold("liability_negative", "users owe us dollars, which no trade can bring about")
    if not all(is_amount(Decimal(amount)) for amount in amounts):
        return Hold("not_an_amount", "a liability, an exposure or a balance is beyond any amount of money")
    if not is_price(facts.price_cents):
        return Hold("price_unusable", f"{facts.price_cents} cents is no price of a bitcoin")
    return price_doubt(facts.price_cents, facts.mark_cents, facts.usual_price_cents, policy.limits)


def backing_of(facts: VenueFacts, policy: Policy) -> Backing:
    """Return what has to be backed at a price, which has to be one."""
    liability, funding = Decimal(facts.liability_cents), policy.funding
    hedged = liability > funding.minimum_liability_threshold_cents
    sats_per_cent = SATS_PER_BTC / facts.price_cents
    owed = round_contract_cents(liability) * sats_per_cent if hedged else Decimal(0)
    exposed = abs(facts.exposure_cents) * sats_per_cent
    # A tenth of the smallest transfer is what the reference system, too, takes for nothing.
    dust = max(1, floor(funding.minimum_transfer_amount_cents * sats_per_cent / 10))
    larger = max(owed, exposed)
    buffer = round_sats(funding.minimum_funding_balance_btc) if larger else 0
    return Backing(owed, exposed, larger, dust, buffer)


def _fill(facts: VenueFacts, backing: Backing, policy: Policy) -> FundingAction | None:
    """The liquidation guard: collateral comes in before anything goes out (the reference's branches 1, 2, 5 and 8)."""
    highest = facts.collateral_sats * policy.funding.high_bound_ratio_leverage
    near_liquidation = backing.exposure_sats > highest * policy.funding.high_bound_buffer_percentage
    if not (near_liquidation or backing.liability_sats > highest):
        return None
    rule = "near_liquidation" if near_liquidation else "liability_outgrows_collateral"
    needed = round_half_even(backing.larger_sats / policy.funding.high_safebound_ratio_leverage)
    missing = needed - facts.collateral_sats
    if missing < (1 if backing.larger_sats else backing.dust_sats):
        return None
    why = f"the trading account lacks {missing} sats for the safe leverage"
    if facts.funding_sats >= min(missing, backing.dust_sats):
        return FundingToTrading(min(facts.funding_sats, missing), rule, why)
    return Deposit(missing + backing.buffer_sats - facts.funding_sats, rule, f"{why}, and the buffer is empty")


def _empty(facts: VenueFacts, backing: Backing, policy: Policy) -> FundingAction | None:
    """Bring collateral that backs nothing out of the trading account (the reference's branches 3 and 6)."""
    if backing.larger_sats >= facts.collateral_sats * policy.funding.low_bound_ratio_leverage:
        return None
    excess = floor(facts.collateral_sats - backing.larger_sats / policy.funding.low_safebound_ratio_leverage)
    excess = min(excess, facts.collateral_sats)
    if excess < backing.dust_sats:
        return None
    why = f"{excess} sats of collateral are more than the safe leverage needs"
    return TradingToFunding(excess, "collateral_idle", why)


def _keep_buffer(facts: VenueFacts, backing: Backing, policy: Policy) -> FundingAction:
    """Keep the buffer in its band, or bring all of it home once nothing is backed (branches 4, 7 and 9)."""
    share, buffer = policy.funding.high_bound_buffer_percentage, backing.buffer_sats
    if backing.larger_sats == 0:
        return _withdraw(facts.funding_sats, backing, policy, "nothing_to_back", "nothing is left to back")
    if facts.funding_sats * share > buffer:
        excess = facts.funding_sats - buffer
        return _withdraw(excess, backing, policy, "buffer_excess", "the buffer is more than it should be")
    if facts.funding_sats < buffer * share:
        missing = buffer - facts.funding_sats
        return Deposit(missing, "buffer_low", f"the buffer lacks {missing} sats")
    return Nothing("in_band", "leverage and buffer are inside their bands")


def _withdraw(sats: int, backing: Backing, policy: Policy, rule: str, reason: str) -> FundingAction:
    least = max(policy.withdrawal_min_sats, backing.dust_sats)
    if sats >= least:
        return Withdraw(sats, rule, f"{reason}: {sats} sats")
    return Nothing(rule, f"{reason}, but {max(0, sats)} sats are less than the {least} that are worth a withdrawal")


def _only_when_hedged(wanted: FundingAction, facts: VenueFacts, policy: Policy) -> FundingAction:
    held = "no bitcoin leaves while"
    if facts.order_in_flight:
        return Hold("outflow_order_in_flight", f"{held} an order is open: {wanted.reason}")
    if not facts.is_position_current:
        return Hold("outflow_position_behind_order", f"{held} the position is not known: {wanted.reason}")
    if not is_hedged(facts, policy):
        return Hold("outflow_hedge_out_of_band", f"{held} the hedge is out of its band: {wanted.reason}")
    return wanted
