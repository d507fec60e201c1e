"""The guarded hedge decision: the reference's band, acted on only when it is safe to.

What the reference leaves to chance is settled first. With an order in flight, or with a position that does not cover
the last one, a second order would hedge the same dollars twice. Then the reference's rule says what it would do, and
that is cut down: to a rate and a size, and, where it makes the short grow, to what the collateral carries at the high
bound of leverage. An order that was cut is followed by the next one, in the same direction, until the band is
reached.
"""

from decimal import Decimal, localcontext

from domain.hedging.actions import Buy, Close, HedgeAction, Hold, Nothing, Sell
from domain.hedging.limits import price_doubt
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_hedge import decide_hedge_reference
from domain.money import CENTS_PER_CONTRACT, MONEY, SATS_PER_BTC, floor, is_price


def decide_hedge_guarded(facts: VenueFacts, policy: Policy) -> HedgeAction:
    """Return the order to send now, or the reason to wait. No facts make it raise."""
    if facts.order_in_flight:
        return Hold("order_in_flight", "an order is in flight, and what it does to the position is not known yet")
    if not facts.is_position_current:
        return Hold("position_behind_order", "the position is older than the last order that was finished")
    wanted = decide_hedge_reference(facts.liability_cents, facts.exposure_cents, policy.hedge)
    if isinstance(wanted, Nothing | Hold):
        return wanted
    return policy.too_soon("order", facts.now_ms, facts.last_order_at_ms, facts.orders_refused) or _within_collateral(
        _within_size(wanted, facts, policy), facts, policy
    )


def is_hedged(facts: VenueFacts, policy: Policy) -> bool:
    """Whether the position is known and inside its band."""
    wanted = decide_hedge_reference(facts.liability_cents, facts.exposure_cents, policy.hedge)
    return facts.is_position_current and isinstance(wanted, Nothing)


def _within_size(wanted: Sell | Buy | Close, facts: VenueFacts, policy: Policy) -> Sell | Buy | Close:
    """Cut an order to the size that one order may have; a large position is closed by parts."""
    limit = policy.order_contracts_max
    if isinstance(wanted, Close):
        if abs(facts.exposure_cents) <= limit * CENTS_PER_CONTRACT:
            return wanted
        part = Buy if facts.exposure_cents < 0 else Sell
        return part(limit, wanted.rule, f"{wanted.reason}; the position is closed by parts of {limit} contracts")
    if wanted.contracts <= limit:
        return wanted
    return type(wanted)(limit, wanted.rule, f"{wanted.reason}; {limit} of {wanted.contracts} contracts for now")


def _within_collateral(wanted: Sell | Buy | Close, facts: VenueFacts, policy: Policy) -> HedgeAction:
    """Cut an order that makes the short grow to what the collateral carries."""
    if not isinstance(wanted, Sell) or facts.exposure_cents >= wanted.contracts * CENTS_PER_CONTRACT:
        return wanted
    if not is_price(facts.price_cents):
        return Hold("price_unusable", f"{facts.price_cents} cents is no price, so the collateral has no worth")
    doubt = price_doubt(facts.price_cents, facts.mark_cents, facts.usual_price_cents, policy.limits)
    if doubt is not None:
        return doubt
    carried = max(0, (facts.exposure_cents + _carried_cents(facts, policy)) // CENTS_PER_CONTRACT)
    if carried == 0:
        return Hold("no_collateral", "no collateral yet for a single contract more")
    if wanted.contracts <= carried:
        return wanted
    why = f"{wanted.reason}; the collateral carries {carried} of {wanted.contracts} contracts"
    return Sell(carried, wanted.rule, why)


def _carried_cents(facts: VenueFacts, policy: Policy) -> int:
    """The largest short that the collateral carries at the high bound of leverage, in cents."""
    with localcontext(MONEY):
        worth_cents = Decimal(max(0, facts.collateral_sats)) * facts.price_cents / SATS_PER_BTC
        return floor(worth_cents * policy.funding.high_bound_ratio_leverage)
