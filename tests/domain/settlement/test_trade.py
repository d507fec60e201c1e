"""What a trade moves: exactly its cost, nothing out of nowhere, or a reason by name."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.accounts import Account
from domain.ledger.journal import CREDIT, DEBIT
from domain.ledger.memory import MemoryLedger
from domain.settlement.fees import LEVELS, Rates, fee_of, rates_of
from domain.settlement.locks import Order, locked_by
from domain.settlement.trade import AMOUNT_MAX, Matched, Moves, Refusal, cost_of, moves_of
from domain.templates import settlement as templates
from domain.templates.settlement import Sides, Terms, Told

AMOUNTS = st.integers(1, 10**12)
PRICES = st.decimals("0.00000001", "1000000", places=8)
TOLD = Told(0, "trades.matched/0", 0)
TERMS = Terms("142", "seller", "o1", "o2", 10, 5, "0" * 32)


@given(PRICES, AMOUNTS, st.integers(0, 18), st.integers(0, 18))
def test_a_cost_is_exact_or_refused(price: Decimal, quantity: int, base: int, quote: int) -> None:
    """Price times quantity, without a digit lost, whatever the decimals of both assets."""
    cost = cost_of(price, quantity, base, quote)
    exact = int(price * 10**8) * quantity * 10**quote, 10 ** (8 + base)
    if isinstance(cost, int):
        assert (cost * exact[1], 0) == (exact[0], max(0, 1 - cost))
    else:
        assert cost.reason == "inexact"
        assert exact[0] % exact[1]


@pytest.mark.parametrize(
    ("price", "quantity", "decimals", "said"),
    [
        ("50000.25", 12_345_678, (8, 6), Refusal("inexact")),
        ("50000.25", 12_345_678, (8, 9), 6_172_869_864_195),
        ("0", 1, (8, 2), Refusal("worthless")),
        ("1", 0, (8, 2), Refusal("worthless")),
        ("-1", 1, (0, 0), Refusal("worthless")),
        ("1", AMOUNT_MAX - 1, (0, 0), AMOUNT_MAX - 1),
        ("10", AMOUNT_MAX // 10, (0, 0), Refusal("too_large")),
        ("0.000000000000000001", 10**18, (18, 18), 1),
        ("123456789012345678.123456789012345678", 10**18, (18, 18), 123456789012345678123456789012345678),
    ],
)
def test_what_is_no_amount_is_named(price: str, quantity: int, decimals: tuple[int, int], said: int | Refusal) -> None:
    """What is finer than money, nothing, or more than books can hold."""
    assert said == cost_of(Decimal(price), quantity, *decimals)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, Moves(7, 1_050, 40, 995, 15)),
        ({"locked": 1_010}, Moves(7, 1_010, 0, 995, 15)),
        ({"locked": 1_009}, Refusal("lock_too_small", 1)),
        ({"seller": "b"}, Refusal("self_trade")),
        ({"seller_fee": 1_001}, Refusal("fee_over_proceeds", 1)),
        ({"seller_fee": 1_000}, Moves(7, 1_050, 40, 0, 1_010)),
    ],
)
def test_what_moves(changed: dict[str, Any], said: Moves | Refusal) -> None:
    """All sides, or the first reason for which there are none."""
    assert said == moves_of(Matched("b", "s", Decimal(1), 7, 1_050, 10, 5)._replace(**changed), 1_000)


@given(st.integers(1, 10**9), st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6))
def test_nothing_comes_from_nowhere(cost: int, more: int, buyer_fee: int, seller_fee: int) -> None:
    """What leaves the buyer's lock is what the seller, the buyer and we get."""
    moves = moves_of(Matched("b", "s", Decimal(1), 7, cost + buyer_fee + more, buyer_fee, seller_fee), cost)
    if isinstance(moves, Refusal):
        assert moves == Refusal("fee_over_proceeds", seller_fee - cost)
    else:
        assert moves.locked == moves.refund + moves.proceeds + moves.revenue
        assert moves.refund == more


@given(st.lists(AMOUNTS, min_size=1, max_size=5), st.sampled_from(LEVELS))
def test_what_an_order_locks_pays_for_all_of_its_parts(parts: list[int], rates: Rates) -> None:
    """At its limit and the dearer rate, however it is cut; parts never pay more than the whole."""
    order = Order("buy", Decimal(3), sum(parts), 0, 0)
    whole = locked_by(order, rates)
    taken = [3 * part + fee_of(3 * part, rate) for part in parts for rate in [rates.dearer_ppm]]
    assert isinstance(whole, int)
    assert sum(taken) <= whole
    assert sum(parts) == locked_by(order._replace(side="sell"), rates)
    assert all(locked_by(order._replace(quantity=part), rates) == one for part, one in zip(parts, taken, strict=True))


def test_levels_fall_and_the_last_one_holds_for_all_above() -> None:
    """Who trades more pays no more, and who rests no more than who takes."""
    assert list(LEVELS) == sorted(LEVELS, reverse=True)
    assert all(rates.maker_ppm < rates.taker_ppm for rates in LEVELS)
    assert (Rates(1000, 1500), Rates(100, 400), Rates(100, 400)) == (rates_of(0), rates_of(9), rates_of(100))


def _books() -> MemoryLedger:
    codes = [code for user in "bs" for code in (templates.available_of(user), templates.locked_of(user))]
    accounts = [Account(1000 + n, code, CREDIT, "Case", min_available=0) for n, code in enumerate(codes)]
    debts = [Account(1010, templates.debt_of("b"), DEBIT, "Case", min_available=0)]
    fixed = [Account(1020, templates.CUSTODY, DEBIT, "Case"), Account(1021, templates.REVENUE, CREDIT, "Case")]
    return MemoryLedger([*accounts, *debts, *fixed])


def test_a_customer_s_life_is_booked() -> None:
    """Every template balances and leaves what it should, a trade is booked once, and another body under its id is a conflict."""
    sides = Sides("b", "s", "BTC", "USD", 7, 1_050, 40, 995, 15)
    trade = templates.trade_settled("t1", "BTC_USD", 1, sides, TERMS, TOLD)
    steps = [
        templates.customer_deposit("d1", "b", "USD", 2_000, 0, TOLD),
        templates.customer_deposit("d2", "s", "BTC", 10, 0, TOLD),
        templates.order_locked("o1", "b", "USD", 1_500, TOLD),
        templates.order_locked("o2", "s", "BTC", 10, TOLD),
        trade,
        trade,
        templates.trade_settled("t1", "ETH_USD", 1, sides, TERMS, TOLD),
        templates.order_unlocked("o1 ends", "b", "USD", 450, TOLD),
        templates.customer_withdrawal("w1", "s", "USD", 995, TOLD),
        templates.customer_debit("x1", "b", "USD", 1_490, 500, TOLD),
        templates.customer_deposit("d3", "b", "USD", 600, 500, TOLD),
        templates.order_locked("o3", "b", "USD", 101, TOLD),
    ]
    ledger = _books()
    verdicts = ledger.post(steps).verdicts
    outcomes = ["posted"] * 5 + ["duplicate", "conflict"] + ["posted"] * 4 + ["rejected"]
    assert outcomes == [str(verdict.outcome) for verdict in verdicts]
    assert ("over_limit", "CUSTOMER/b", "USD", 1) == verdicts[-1][2:6]
    left = {(one.account, one.currency): abs(one.settled) for one in ledger.balances() if one.settled}
    assert left == {
        ("CUSTOMER/b", "USD"): 100,
        ("CUSTOMER/b", "BTC"): 7,
        ("CUSTOMER_LOCKED/s", "BTC"): 3,
        ("TRADING_REVENUE", "USD"): 15,
        ("CUSTODY", "USD"): 115,
        ("CUSTODY", "BTC"): 10,
    }
