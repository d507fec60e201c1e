"""The arithmetic of a decision: the numbers that are shown are those that it was decided on."""

import re
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reports.explain.reasons import arithmetic, policy_of, reasons
from domain.hedging.actions import quantity
from domain.hedging.desk import Desk
from domain.hedging.policy import Book, Policy
from domain.hedging.reference_hedge import decide_hedge_reference
from domain.messages.decisions import Decision
from domain.money import CENTS_PER_CONTRACT, round_contracts
from tests.words import START_MS, VENUE, liability, pockets, position, record, tick

BACKED = 75_000_000
"""In satoshis, what 30,000 dollars are at a price of 40,000."""


def decisions(owed: int, contracts: int, trading_sats: int, price_usd: str = "40000") -> list[Decision]:
    """What a guarded desk decides on these facts: a hedge and a funding."""
    words = (liability(owed), position(contracts * CENTS_PER_CONTRACT), pockets(trading_sats), tick(price_usd))
    said = [*Desk(Book("main", VENUE)).apply(START_MS, [record(word) for word in words])]
    return [one for one in said if isinstance(one, Decision)]


@given(st.integers(5_000, 10**9), st.integers(-(10**5), 10**5))
def test_the_steps_of_a_hedge_come_to_its_contracts(owed: int, contracts: int) -> None:
    """Read back from the text, target and short give the contracts that the rule wants, and the share gives the target."""
    decision = decisions(owed, contracts, 10**11)[0]
    text = "\n".join(arithmetic(decision, Policy()))
    wanted = quantity(decide_hedge_reference(owed, contracts * CENTS_PER_CONTRACT, Policy().hedge))[0]
    assert f"ratio = short / liability = {-contracts * CENTS_PER_CONTRACT} / {owed} = " in text
    found = re.search(r"× (.*) = (.*) cents\ncontracts = .* = (.*), rounded half to even: (.*) \(", text)
    assert (found is None) == (decision.action == "nothing" and decision.rule == "in_band")
    if found is not None:
        share, target, exact = (Decimal(found[place]) for place in (1, 2, 3))
        assert owed * share == target
        assert (-contracts * CENTS_PER_CONTRACT - target) / CENTS_PER_CONTRACT == exact
        assert (wanted, round_contracts(exact * CENTS_PER_CONTRACT)) == (int(found[4]), wanted)
    assert (f"decided = {decision.amount} of {wanted} contracts" in text) == (decision.amount != wanted)


@pytest.mark.parametrize(
    ("facts", "place", "steps"),
    [
        ((4_999, 0, 0), 0, ["the liability of 4999 cents is less than the 5000 that are hedged"]),
        (
            (3_000_000, 0, 100_000_000),
            1,
            [f"backed = the larger of {BACKED} of the liability and 0 of the position = {BACKED} sats"],
        ),
        ((3_000_000, 0, 100_000_000), 1, [f"leverage = backed / collateral = {BACKED} / 100000000 = 0.750000"]),
        ((3_000_000, -400, 100_000_000), 1, ["band = 2 to 4", "needed = backed / 3 = 33333333 sats of collateral"]),
    ],
)
def test_steps_are_shown_with_their_numbers(facts: tuple[int, int, int], place: int, steps: list[str]) -> None:
    """Too little to hedge; what is backed, its leverage, its band, and the collateral that it needs."""
    told = arithmetic(decisions(*facts)[place], Policy())
    assert [] == [step for step in steps if step not in told]


def test_a_decision_that_cannot_be_read_today_is_told_as_it_is() -> None:
    """Without its policy, or with inputs of another version, there is no arithmetic, and why nothing is nearest is said."""
    decision = decisions(1_000_000, 0, 10**11)[0]
    assert policy_of({"rules": "of old"}) is None
    assert Policy() == policy_of(Policy().model_dump(mode="json"))
    bare = decision.model_copy(update={"inputs": {}})
    for told in (reasons(decision, None), reasons(bare, Policy())):
        assert ([], []) == (told["arithmetic"], told["nearest"])
        assert told["undecidable"]
    read: dict[str, Any] = reasons(decision, Policy())
    assert (None, "0.95") == (read["undecidable"], read["bands"]["low_bound_ratio_shorting"])
