"""Money: every rounding by name, and nothing that depends on the context of the thread."""

from decimal import ROUND_UP, Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import money

SATS = st.integers(-(10**19), 10**19)


@pytest.mark.parametrize(
    ("value", "expected"), [("0.5", 0), ("1.5", 2), ("2.5", 2), ("-0.5", 0), ("-1.5", -2), ("2.51", 3), ("2.49", 2)]
)
def test_halves_go_to_the_even_number(value: str, expected: int) -> None:
    """A half is rounded to the even whole number, on both sides of zero."""
    assert expected == money.round_half_even(Decimal(value))


@pytest.mark.parametrize(("value", "expected"), [("1.000000004", 100_000_000), ("1.000000006", 100_000_001)])
def test_bitcoin_that_goes_in_is_rounded(value: str, expected: int) -> None:
    """Bitcoin that goes in is rounded to the nearest satoshi."""
    assert expected == money.round_sats(Decimal(value))


@pytest.mark.parametrize(("value", "expected"), [("1.000000009", 100_000_000), ("-0.000000001", -1)])
def test_bitcoin_that_comes_out_is_floored(value: str, expected: int) -> None:
    """Bitcoin that comes out is never more than is there."""
    assert expected == money.floor_sats(Decimal(value))


@given(SATS)
def test_satoshis_survive_the_way_through_bitcoin(sats: int) -> None:
    """Satoshis to bitcoin and back are the same satoshis, by either rounding."""
    assert (sats, sats) == (money.round_sats(money.btc_from_sats(sats)), money.floor_sats(money.btc_from_sats(sats)))


@pytest.mark.parametrize(("cents", "expected"), [("14000", 10_000), ("16000", 20_000), ("5000", 0), ("25000", 20_000)])
def test_cents_round_to_whole_contracts(cents: str, expected: int) -> None:
    """An amount is rounded to what whole contracts are worth, halves to even."""
    assert expected == money.round_contract_cents(Decimal(cents))


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**9))
def test_context_of_the_thread_does_not_matter(amount: int, price_millionths: int) -> None:
    """Results are the same under a context that rounds up to three digits."""
    price = Decimal(price_millionths).scaleb(-6)
    plain = (money.worth_cents(amount, price), money.round_sats(price), money.round_contracts(price))
    with localcontext(prec=3, rounding=ROUND_UP):
        assert plain == (money.worth_cents(amount, price), money.round_sats(price), money.round_contracts(price))


@given(st.integers(-(10**30), 10**30))
def test_a_cent_is_worth_a_cent(amount: int) -> None:
    """Dollars of any size are worth themselves, to the last digit."""
    assert amount == money.worth_cents(amount, Decimal("1.0"))


@given(st.integers(-(10**12), 10**12), st.integers(1, 10**6))
def test_worth_keeps_the_sign(amount: int, price_millionths: int) -> None:
    """What goes out is worth the opposite of what comes in."""
    price = Decimal(price_millionths).scaleb(-6)
    assert -money.worth_cents(amount, price) == money.worth_cents(-amount, price)


@pytest.mark.parametrize(("base", "offset", "expected"), [(20_000_000_000, 12, "0.02"), (1_000_000, 6, "1")])
def test_price_on_the_wire(base: int, offset: int, expected: str) -> None:
    """A price is its base with the point moved by its offset."""
    assert expected == money.plain(money.cents_per_unit(base, offset))


@pytest.mark.parametrize("text", ["", " 1", "NaN", "Infinity", "1e3", "1_000", ".5", "1.", "+1", "٣"])
def test_what_is_no_number(text: str) -> None:
    """Only plain digits with a point between them are a number."""
    assert money.decimal_from_text(text) is None


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12))
def test_plain_digits_read_back(value: Decimal) -> None:
    """A number written plainly is read back as the same number, and there is one way to write it."""
    text = money.plain(value)
    assert value == money.decimal_from_text(text)
    assert text == money.plain(value * Decimal("1.000"))


@pytest.mark.parametrize(("value", "expected"), [("0", "0"), ("-0", "0"), ("0E+5", "0"), ("1E+3", "1000"), ("1.50", "1.5")])
def test_plain_digits(value: str, expected: str) -> None:
    """No exponent, no minus before zero, no zeros at the end."""
    assert expected == money.plain(Decimal(value))


@pytest.mark.parametrize("value", ["NaN", "Infinity", "0", "-1", "1e20", "1e-21"])
def test_what_is_no_price(value: str) -> None:
    """A price can be divided by and is within reason."""
    assert not money.is_price(Decimal(value))
