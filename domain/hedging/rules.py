"""The rules of a policy on the facts of one moment: what a desk asks, and whoever asks again what it decided.

Nothing here remembers anything. What a desk adds is whether its facts are fresh, and whether a position is believed.
"""

from typing import Literal

from domain.hedging.actions import Action, Hold, quantity
from domain.hedging.guarded_funding import decide_funding_guarded
from domain.hedging.guarded_hedge import decide_hedge_guarded
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_funding import decide_funding_reference
from domain.hedging.reference_hedge import decide_hedge_reference
from domain.messages.fields import AMOUNT_MAX
from domain.money import btc_from_sats

Kind = Literal["hedge", "funding"]
KINDS: tuple[Kind, ...] = ("hedge", "funding")


def decide(kind: Kind, facts: VenueFacts, policy: Policy) -> Action:
    """Return what a policy asks for; an amount that no message can carry is held."""
    action = _decided(kind, facts, policy)
    if abs(quantity(action)[0]) > AMOUNT_MAX:
        return Hold("amount_unusable", f"{action.name} of more than {AMOUNT_MAX} cannot be meant")
    return action


def _decided(kind: Kind, facts: VenueFacts, policy: Policy) -> Action:
    if policy.rules == "guarded":
        return (decide_hedge_guarded if kind == "hedge" else decide_funding_guarded)(facts, policy)
    if facts.order_in_flight if kind == "hedge" else facts.transfer_in_flight:
        return Hold("slot_taken", "the one slot is taken by what is in flight")
    return decide_by_reference(kind, facts, policy)


def decide_by_reference(kind: Kind, facts: VenueFacts, policy: Policy) -> Action:
    """Return what the reference system would do, whatever is under way."""
    if kind == "hedge":
        return decide_hedge_reference(facts.liability_cents, facts.exposure_cents, policy.hedge)
    return decide_funding_reference(
        facts.liability_cents,
        facts.exposure_cents,
        btc_from_sats(facts.collateral_sats),
        facts.price_cents,
        btc_from_sats(facts.funding_sats),
        policy.funding,
    )
