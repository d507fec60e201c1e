"""The arithmetic of the inverse swap against exact fractions."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.market.swap import FLAT, Holding, average_entry_usd, margin_sats, share_up, trade, unrealised_sats

PRICES = st.integers(1, 10**9).map(lambda cents: Decimal(cents).scaleb(-2))
SIZES = st.integers(-(10**6), 10**6).filter(bool)


def exact_profit_sats(contracts: int, entry_usd: Decimal, exit_usd: Decimal) -> Fraction:
    """The formula of the exchange, without rounding."""
    return Fraction(contracts) * 100 * 10**8 * (1 / Fraction(entry_usd) - 1 / Fraction(exit_usd))


@given(SIZES, PRICES, PRICES)
def test_profit_is_the_formula_rounded_against_us(contracts: int, entry_usd: Decimal, exit_usd: Decimal) -> None:
    """Opening and closing gives the exact profit less at most two satoshis, and never more."""
    opened, none = trade(FLAT, contracts, entry_usd)
    closed, profit = trade(opened, -contracts, exit_usd)
    exact = exact_profit_sats(contracts, entry_usd, exit_usd)
    assert (closed, none) == (FLAT, 0)
    assert exact - 2 < profit <= exact


@given(SIZES, PRICES, PRICES)
def test_unrealised_is_what_closing_realises(contracts: int, entry_usd: Decimal, exit_usd: Decimal) -> None:
    """What a position is said to gain is what closing it gives."""
    opened, _ = trade(FLAT, contracts, entry_usd)
    assert trade(opened, -contracts, exit_usd)[1] == unrealised_sats(opened, exit_usd)


@given(st.lists(st.tuples(SIZES, PRICES), min_size=1, max_size=12), PRICES)
def test_any_path_realises_what_its_trades_are_worth(trades: list[tuple[int, Decimal]], last_usd: Decimal) -> None:
    """However trades add to, cut and turn the position, the profit is exact to a satoshi or two per trade, against
    us.
    """
    holding, profit = FLAT, 0
    for contracts, price_usd in trades:
        holding, realised = trade(holding, contracts, price_usd)
        profit += realised
    holding, realised = trade(holding, -holding.contracts, last_usd) if holding.contracts else (holding, 0)
    left = -sum(contracts for contracts, _ in trades)
    worths = [Fraction(contracts) * 10**10 / Fraction(price) for contracts, price in (*trades, (left, last_usd))]
    assert holding == FLAT
    assert sum(worths) - 3 * len(worths) < profit + realised <= sum(worths)


@given(SIZES, PRICES)
def test_entry_worth_is_never_negative(contracts: int, price_usd: Decimal) -> None:
    """A position cut to any smaller size keeps an entry worth of at least zero."""
    opened, _ = trade(FLAT, contracts, price_usd)
    cut, _ = trade(opened, -(contracts // 2) or -contracts, price_usd)
    assert cut.entry_sats >= 0


@pytest.mark.parametrize(
    ("holding", "expected"),
    [
        (FLAT, None),
        (Holding(-10, 2_500_000), Decimal("40000.00")),
        (Holding(3, 1_000_000), Decimal("30000.00")),
        (Holding(-7, 1_000_000), Decimal("70000.00")),
    ],
)
def test_average_entry_is_shown_to_the_cent(holding: Holding, expected: Decimal | None) -> None:
    """The average entry price follows from contracts and entry worth."""
    assert expected == average_entry_usd(holding)


@pytest.mark.parametrize(
    ("amount_sats", "ppm", "expected"),
    [(0, 500, 0), (1, 1, 1), (2_000, 500, 1), (2_001, 500, 2), (10**6, 10**6, 10**6)],
)
def test_shares_round_up(amount_sats: int, ppm: int, expected: int) -> None:
    """A fee is never rounded in our favour."""
    assert expected == share_up(amount_sats, ppm)


def test_margin_is_the_worth_over_the_leverage() -> None:
    """Ten contracts at 40,000 dollars are 2,500,000 satoshis; at leverage 4 they tie up a quarter, rounded up."""
    assert [margin_sats(-10, Decimal(40_000), leverage) for leverage in (4, 3)] == [625_000, 833_334]
