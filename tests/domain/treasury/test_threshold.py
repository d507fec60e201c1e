"""Thresholds that follow from flows; the table of cases is in tests/cases/treasury.json."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.threshold import critical_fractile, miller_orr, newsvendor, quantile, service_level

AMOUNTS = st.decimals(1, 10**6, places=2)
SHARES = st.decimals(Decimal("0.5"), Decimal("0.999"), places=3)


@given(AMOUNTS, AMOUNTS, AMOUNTS, st.decimals(Decimal("0.001"), 1, places=3))
def test_bounds_follow_each_other(lower: Decimal, sigma: Decimal, cost: Decimal, rate: Decimal) -> None:
    """The target is a third of the way from the lower bound to the upper one, and the average between the two."""
    found = miller_orr(lower, sigma, cost, rate, 365)
    assert found.lower < found.target < found.average < found.upper
    assert abs(found.upper - found.lower - 3 * (found.target - found.lower)) <= found.upper * Decimal("1e-24")


@given(AMOUNTS, AMOUNTS, st.decimals(0, 9, places=2), SHARES, SHARES)
def test_more_service_wants_more(mean: Decimal, sigma: Decimal, lead: Decimal, one: Decimal, other: Decimal) -> None:
    """A minimum grows with the probability that it lasts, and is the mean demand for one half."""
    low, high = sorted((one, other))
    assert service_level(mean, sigma, lead, low) <= service_level(mean, sigma, lead, high)
    assert mean * lead == service_level(mean, sigma, lead, Decimal("0.5"))


@given(AMOUNTS, AMOUNTS)
def test_what_costs_as_much_either_way_is_met_half_the_time(mean: Decimal, sigma: Decimal) -> None:
    """Where a unit too few costs what one too many does in a day, the stock is the mean."""
    assert Decimal("0.5") == critical_fractile(Decimal("0.001"), Decimal("0.365"), 365)
    assert mean == newsvendor(mean, sigma, Decimal("0.5"))
    assert Decimal("2.3263478740408408") == quantile(Decimal("0.99"))
