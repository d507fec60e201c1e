"""Amounts as people type and read them, and buffers in pictures."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.reports.treasury.saying import minor_units
from app.reports.treasury.words import BAR, bar, text_of, whole
from domain.errors import ConfigError
from domain.money import DECIMALS

CURRENCIES = st.sampled_from(sorted(DECIMALS))
NOTHING: dict[str, Any] = {
    "control": None,
    "buffers": [],
    "active": [],
    "stale": [],
    "providers": [],
    "day": {"completed": 0, "failed": 0, "average_seconds": None},
}


@given(amount=st.integers(0, 10**24), currency=CURRENCIES)
def test_what_is_shown_can_be_typed(amount: int, currency: str) -> None:
    """An amount as a person reads it, without its commas and its currency, is that amount."""
    assert amount == minor_units(whole(amount, currency).removesuffix(f" {currency}").replace(",", ""), currency)


@pytest.mark.parametrize(
    ("text", "currency", "units"),
    [("42000.50", "USD", 4_200_050), ("0.000001", "USDC", 1), ("7", "USDC", 7_000_000), ("1.100", "USD", 110)],
)
def test_amounts_are_exact(text: str, currency: str, units: int) -> None:
    """Zeros behind what a currency is counted in are no harm."""
    assert units == minor_units(text, currency)


@pytest.mark.parametrize("text", ["", "1,000", "1e3", "-1", "+1", "1.", ".5", "0.001", " 1", "NaN", "1" * 25, "١"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    """In a sentence that says what to write, or how fine the currency is."""
    with pytest.raises(ConfigError, match=r"such as 42000\.50|finer than USD is counted in"):
        minor_units(text, "USD")


@given(
    low=st.integers(1, 10**6), gaps=st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), position=st.integers(-9, 10**7)
)
def test_a_bar_is_always_as_long(low: int, gaps: tuple[int, int], position: int) -> None:
    """With one mark, and a sign in front or behind when the position is outside."""
    target, high = low + gaps[0], low + sum(gaps)
    drawn = bar(position, low, target, high)
    assert (BAR + 4, 1) == (len(drawn), drawn.count("|"))
    assert (position < low, position > high) == (drawn[0] == "<", drawn[-1] == ">")


def test_a_treasury_that_never_ran_says_how_to_begin() -> None:
    """Before there is a buffer, a job or a provider."""
    text = text_of(NOTHING)
    for words in ("ballast run treasury", "no job is under way", "0 completed, 0 failed\n", "ballast treasury providers"):
        assert words in text
