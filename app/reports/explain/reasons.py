"""How a decision came about, in numbers: its inputs with their ages, the bands, the arithmetic, and what would have changed it.

The numbers come from the functions that decided; here they are only put side by side.
"""

import json
from decimal import Decimal, localcontext
from typing import Any

from pydantic import ValidationError

from app.reports.explain.graph import Facts
from domain.hedging.actions import quantity
from domain.hedging.guarded_funding import backing_of
from domain.hedging.nearest import NEEDED, Nearest, Shift, facts_of, nearest
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_hedge import decide_hedge_reference
from domain.hedging.rules import KINDS
from domain.messages.decisions import Decision
from domain.money import CENTS_PER_CONTRACT, MONEY, is_price, plain

INPUTS = (
    ("liability", ("liability_cents",), "version"),
    ("position", ("exposure_cents", "doubted_contracts"), "sequence"),
    ("balance", ("trading_equity_sats", "funding_sats", "mark_price_usd"), "sequence"),
    ("price", ("price_usd", "usual_price_usd"), ""),
)
"""The facts of a decision: their values, and what counts their words."""

AIMS = {
    "below_low_bound": "low_safebound_ratio_shorting",
    "long": "low_safebound_ratio_shorting",
    "above_high_bound": "high_safebound_ratio_shorting",
}
"""By rule: which bound of the safe band an order aims at."""


def policy_of(body: Any) -> Policy | None:
    """Return a policy as it was kept, or None if this version of the program knows no such policy."""
    try:
        return Policy.model_validate_json(json.dumps(body))
    except ValidationError:
        return None


def reasons(decision: Decision, policy: Policy | None) -> Facts:
    """Return what a decision was taken on, how it follows, and what would have changed it."""
    told: Facts = {"inputs": inputs(decision)}
    if policy is None:
        unread = Nearest(undecidable=f"policy {decision.policy_version} is of another version of the program")
        return told | {"bands": {}, "arithmetic": [], **_nearest(unread)}
    bands = policy.hedge if decision.kind == "hedge" else policy.funding
    steps = arithmetic(decision, policy)
    return told | {"bands": bands.model_dump(mode="json"), "arithmetic": steps, **_nearest(nearest(decision, policy))}


def inputs(decision: Decision) -> list[Facts]:
    """Return each fact with its values, its version or sequence, and how old it was; what was not heard of is left out."""
    told = decision.inputs
    return [
        {
            "fact": name,
            **{value: told[value] for value in values if told.get(value) is not None},
            **({counted: told.get(f"{name}_{counted}")} if counted else {}),
            "as_of": told[f"{name}_as_of"],
            "age_ms": decision.as_of - told[f"{name}_as_of"],
        }
        for name, values, counted in INPUTS
        if told.get(f"{name}_as_of") is not None
    ]


def arithmetic(decision: Decision, policy: Policy) -> list[str]:
    """Return the steps from the inputs to what was decided, with their numbers."""
    if decision.kind not in KINDS or not decision.inputs.keys() >= NEEDED:
        return []
    facts = facts_of(decision)
    with localcontext(MONEY):
        return _hedge(facts, policy, decision.amount) if decision.kind == "hedge" else _funding(facts, policy)


def _hedge(facts: VenueFacts, policy: Policy, amount: int) -> list[str]:
    liability, short, band = facts.liability_cents, -facts.exposure_cents, policy.hedge
    wanted = decide_hedge_reference(liability, facts.exposure_cents, band)
    if liability < max(1, band.minimum_liability_threshold_cents):
        return [
            f"the liability of {liability} cents is less than the {band.minimum_liability_threshold_cents} that are hedged"
        ]
    ratio = Decimal(short) / liability
    steps = [f"ratio = short / liability = {short} / {liability} = {ratio:.6f}"]
    steps += [f"band = {band.low_bound_ratio_shorting} to {band.high_bound_ratio_shorting}"]
    contracts = quantity(wanted)[0]
    if wanted.rule in AIMS:
        aim = Decimal(str(getattr(band, AIMS[wanted.rule])))
        target = liability * aim
        exact = (short - target) / CENTS_PER_CONTRACT
        steps += [f"target = liability × {aim} = {plain(target)} cents"]
        shown = f"contracts = (short − target) / {CENTS_PER_CONTRACT} = {plain(exact)}"
        steps += [f"{shown}, rounded half to even: {contracts} (less than 0 sells)"]
    if amount != contracts:
        steps += [f"decided = {amount} of {contracts} contracts"]
    return steps


def _funding(facts: VenueFacts, policy: Policy) -> list[str]:
    if not is_price(facts.price_cents):
        return []
    band, backing, collateral = policy.funding, backing_of(facts, policy), facts.collateral_sats
    backed, safe = backing.larger_sats, band.high_safebound_ratio_leverage
    owed, exposed = f"{backing.liability_sats:.0f} of the liability", f"{backing.exposure_sats:.0f} of the position"
    steps = [f"backed = the larger of {owed} and {exposed} = {backed:.0f} sats"]
    if collateral > 0:
        steps += [f"leverage = backed / collateral = {backed:.0f} / {collateral} = {backed / collateral:.6f}"]
    steps += [
        f"band = {band.low_bound_ratio_leverage} to {band.high_bound_ratio_leverage}",
        f"needed = backed / {safe} = {backed / safe:.0f} sats of collateral",
        f"buffer = {facts.funding_sats} sats of the {backing.buffer_sats} that should lie beside it",
    ]
    return steps


def _nearest(found: Nearest) -> Facts:
    return {"nearest": [_shift(shift) for shift in found.shifts], "undecidable": found.undecidable}


def _shift(shift: Shift) -> Facts:
    percent = format(shift.share * 100, ".4f") if shift.value else None
    told = {"input": shift.name, "from": plain(shift.value), "to": plain(shift.moved_to), "percent": percent}
    return told | {"action": shift.action, "rule": shift.rule}
