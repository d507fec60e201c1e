"""The guarded funding decision: in before out, out only when hedged, and no flapping."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.actions import (
    Deposit,
    FundingAction,
    FundingToTrading,
    Hold,
    Nothing,
    TradingToFunding,
    Withdraw,
    quantity,
)
from domain.hedging.guarded_funding import decide_funding_guarded
from domain.hedging.limits import Limits
from domain.hedging.policy import Policy, VenueFacts
from domain.hedging.reference_funding import decide_funding_reference
from domain.money import btc_from_sats

UNLIMITED = Limits(transfer_sats_max=10**30, day_sats_max=10**30)
POLICY = Policy(order_contracts_max=1_000, order_interval_min_ms=2_000, limits=UNLIMITED)
BTC = 100_000_000
STEADY = VenueFacts(
    now_ms=0,
    liability_cents=6_000_000,
    exposure_cents=-6_000_000,
    collateral_sats=BTC,
    funding_sats=BTC,
    price_cents=Decimal(2_000_000),
)
NEW = {"liability_cents": 1_000_000, "exposure_cents": 0, "collateral_sats": 0}
OVER = {"collateral_sats": 2 * BTC}
RICH = {"funding_sats": 120_000_000}
IDLE = {"liability_cents": 0, "exposure_cents": 0}
CHEAP = IDLE | {"collateral_sats": 0, "price_cents": Decimal(500_000)}
"""What is not worth moving is more, in satoshis, than the least that the exchange sends."""


def decide(**changes: Any) -> FundingAction:
    """The decision in a steady state (3 bitcoin of short on 1 of collateral, buffer full), but for these changes."""
    return decide_funding_guarded(replace(STEADY, **changes), POLICY)


@pytest.mark.parametrize(
    ("changes", "kind", "sats", "rule"),
    [
        ({}, Nothing, 0, "in_band"),
        ({"transfer_in_flight": True}, Hold, 0, "transfer_in_flight"),
        ({"last_transfer_sequence": 4, "balance_sequence": 3}, Hold, 0, "balance_behind_transfer"),
        ({"liability_cents": -1}, Hold, 0, "liability_negative"),
        ({"price_cents": Decimal(0)}, Hold, 0, "price_unusable"),
        ({"funding_sats": 10**61}, Hold, 0, "not_an_amount"),
        (NEW, FundingToTrading, 16_666_667, "liability_outgrows_collateral"),
        (NEW | {"now_ms": 1_999, "last_transfer_at_ms": 0}, Hold, 0, "transfer_rate"),
        (NEW | {"now_ms": 2_000, "last_transfer_at_ms": 0}, FundingToTrading, 16_666_667, "liability_outgrows_collateral"),
        ({"now_ms": 1, "last_transfer_at_ms": 0}, Nothing, 0, "in_band"),
        (NEW | {"funding_sats": 0}, Deposit, 116_666_667, "liability_outgrows_collateral"),
        (NEW | {"funding_sats": 49_999}, Deposit, 116_616_668, "liability_outgrows_collateral"),
        (NEW | {"funding_sats": 50_000}, FundingToTrading, 50_000, "liability_outgrows_collateral"),
        (NEW | {"order_in_flight": True}, FundingToTrading, 16_666_667, "liability_outgrows_collateral"),
        ({"exposure_cents": -7_200_001}, FundingToTrading, 20_000_017, "near_liquidation"),
        ({"exposure_cents": 7_200_001}, FundingToTrading, 20_000_017, "near_liquidation"),
        ({"exposure_cents": -7_200_001, **RICH}, FundingToTrading, 20_000_017, "near_liquidation"),
        ({"collateral_sats": -50_000, **IDLE}, FundingToTrading, 50_000, "near_liquidation"),
        ({"collateral_sats": -50_000, "funding_sats": 0, **IDLE}, Deposit, 50_000, "near_liquidation"),
        ({"collateral_sats": -49_999, "funding_sats": 0, **IDLE}, Nothing, 0, "nothing_to_back"),
        (OVER, TradingToFunding, BTC, "collateral_idle"),
        (OVER | {"order_in_flight": True}, Hold, 0, "outflow_order_in_flight"),
        (OVER | {"last_order_sequence": 4}, Hold, 0, "outflow_position_behind_order"),
        (OVER | {"exposure_cents": -5_000_000}, Hold, 0, "outflow_hedge_out_of_band"),
        (RICH, Withdraw, 20_000_000, "buffer_excess"),
        (RICH | {"exposure_cents": -5_000_000}, Hold, 0, "outflow_hedge_out_of_band"),
        ({"funding_sats": 50_000_000}, Deposit, 50_000_000, "buffer_low"),
        (IDLE, TradingToFunding, BTC, "collateral_idle"),
        (IDLE | {"collateral_sats": 0}, Withdraw, BTC, "nothing_to_back"),
        (IDLE | {"collateral_sats": 0, "funding_sats": 99_999}, Nothing, 0, "nothing_to_back"),
        (IDLE | {"collateral_sats": 0, "funding_sats": 100_000}, Withdraw, 100_000, "nothing_to_back"),
        (CHEAP | {"funding_sats": 199_999}, Nothing, 0, "nothing_to_back"),
        (CHEAP | {"funding_sats": 200_000}, Withdraw, 200_000, "nothing_to_back"),
        (IDLE | {"collateral_sats": 49_999, "funding_sats": 0}, Nothing, 0, "nothing_to_back"),
    ],
)
def test_guarded_funding_table(changes: dict[str, Any], kind: type, sats: int, rule: str) -> None:
    """Each guard and each band fires where it should, with its amount in whole satoshis."""
    action = decide(**changes)
    assert (kind, sats, rule) == (type(action), quantity(action)[0], action.rule)
    assert action.reason


def moved(facts: VenueFacts, action: FundingAction) -> VenueFacts:
    """The facts after a transfer has arrived."""
    sats, _ = quantity(action)
    trading = {"funding_to_trading": sats, "trading_to_funding": -sats}.get(action.name, 0)
    home = {"deposit": sats, "withdraw": -sats}.get(action.name, 0)
    return replace(
        facts,
        collateral_sats=facts.collateral_sats + trading,
        funding_sats=facts.funding_sats - trading + home,
    )


def reference(facts: VenueFacts) -> FundingAction:
    """What the reference would do."""
    return decide_funding_reference(
        facts.liability_cents,
        facts.exposure_cents,
        btc_from_sats(facts.collateral_sats),
        facts.price_cents,
        btc_from_sats(facts.funding_sats),
        POLICY.funding,
    )


@pytest.mark.parametrize(
    ("liability_cents", "funding_sats"), [(1_000_000, BTC), (7_000, 2 * BTC), (5_001, 2 * BTC), (9_999, 2 * BTC)]
)
def test_fresh_collateral_stays(liability_cents: int, funding_sats: int) -> None:
    """Where the reference sends back what it has just moved in, and would for ever, the guarded policy leaves it."""
    start = replace(STEADY, liability_cents=liability_cents, exposure_cents=0, collateral_sats=0, funding_sats=funding_sats)
    once = moved(start, reference(start))
    assert start == moved(once, reference(once))
    once = moved(start, decide_funding_guarded(start, POLICY))
    twice = moved(once, decide_funding_guarded(once, POLICY))
    assert 0 < once.collateral_sats == twice.collateral_sats
    assert isinstance(decide_funding_guarded(twice, POLICY), Nothing | Hold)


AMOUNTS = st.integers(0, 10**10)
FACTS = st.builds(
    VenueFacts,
    now_ms=st.just(0),
    liability_cents=st.integers(0, 20_000) | AMOUNTS,
    exposure_cents=st.integers(-20_000, 20_000) | AMOUNTS.map(lambda cents: -cents),
    collateral_sats=st.integers(-(10**6), 10**6) | AMOUNTS,
    funding_sats=st.integers(0, 10**6) | AMOUNTS,
    price_cents=st.integers(1, 10**8).map(Decimal),
)
WILD = st.builds(
    VenueFacts,
    now_ms=st.integers(),
    liability_cents=st.integers() | st.integers(-(10**70), 10**70),
    exposure_cents=st.integers() | st.integers(-(10**70), 10**70),
    collateral_sats=st.integers() | st.integers(-(10**70), 10**70),
    funding_sats=st.integers() | st.integers(-(10**70), 10**70),
    price_cents=st.decimals(),
)


@given(WILD)
def test_nothing_makes_it_raise(facts: VenueFacts) -> None:
    """Any facts, however absurd, lead to an action, and what moves is positive."""
    action = decide_funding_guarded(facts, POLICY)
    sats, unit = quantity(action)
    assert (sats > 0) == (unit == "sats")
    assert action.reason


@given(FACTS)
def test_transfers_come_to_rest(facts: VenueFacts) -> None:
    """Applying the moves leads to rest in a few steps, and what came in does not go out again, nor back."""
    names = []
    for _ in range(6):
        action = decide_funding_guarded(facts, POLICY)
        if isinstance(action, Nothing | Hold):
            break
        names.append(action.name)
        facts = moved(facts, action)
    assert isinstance(action, Nothing | Hold)
    assert not {"funding_to_trading", "trading_to_funding"} <= {*names}
    assert not {"deposit", "withdraw"} <= {*names}


@given(FACTS)
def test_nothing_moves_that_is_not_there(facts: VenueFacts) -> None:
    """No move takes more from a pocket than it holds, and no withdrawal is smaller than the exchange sends."""
    match decide_funding_guarded(facts, POLICY):
        case FundingToTrading(amount_sats=sats):
            assert sats <= facts.funding_sats
        case TradingToFunding(amount_sats=sats):
            assert sats <= facts.collateral_sats
        case Withdraw(amount_sats=sats):
            assert POLICY.withdrawal_min_sats <= sats <= facts.funding_sats
        case _:
            pass


@given(FACTS)
def test_nothing_leaves_while_an_order_is_open(facts: VenueFacts) -> None:
    """With an order open there is no outflow, and what would have come in still does."""
    action = decide_funding_guarded(facts, POLICY)
    held = decide_funding_guarded(replace(facts, order_in_flight=True), POLICY)
    assert not isinstance(held, TradingToFunding | Withdraw)
    assert isinstance(action, TradingToFunding | Withdraw | Hold) or action == held


@given(FACTS)
def test_liquidation_comes_before_any_withdrawal(facts: VenueFacts) -> None:
    """While the position is near liquidation, nothing but an inflow is decided."""
    policy = POLICY.funding
    exposure_sats = abs(facts.exposure_cents) * BTC / facts.price_cents
    highest_sats = facts.collateral_sats * policy.high_bound_ratio_leverage * policy.high_bound_buffer_percentage
    action = decide_funding_guarded(facts, POLICY)
    if facts.exposure_cents and exposure_sats > highest_sats * Decimal("1.01") + 9:
        assert isinstance(action, Deposit | FundingToTrading)


@given(FACTS, AMOUNTS)
def test_more_collateral_never_brings_more_in(facts: VenueFacts, more: int) -> None:
    """For one liability and position with a full buffer, what moves into trading falls as its collateral grows."""
    facts = replace(facts, funding_sats=10**30)
    moves = []
    for one in (facts, replace(facts, collateral_sats=facts.collateral_sats + more)):
        action = decide_funding_guarded(one, POLICY)
        sign = {"funding_to_trading": 1, "trading_to_funding": -1}.get(action.name, 0)
        moves.append(sign * quantity(action)[0])
    assert moves[0] >= moves[1]
