"""Fees; the table of cases is in tests/cases/treasury.json."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.fees import cost_of, fee_of, gross_up

RATES = st.decimals(0, Decimal("0.5"), places=6)


@given(st.integers(0, 10**20), RATES, st.sampled_from((1, 100, 10_000)))
def test_enough_arrives_and_no_step_less_would_do(need: int, rate: Decimal, step: int) -> None:
    """The order is whole steps; what arrives after the fee is at least the need, and one step less would not have been enough."""
    found = gross_up(need, rate, step)
    assert (0, found.order) == (found.order % step, found.fee + found.received)
    assert found.received >= need
    less = found.order - step
    assert less < 0 or less - less * rate < need


@given(st.integers(1, 10**20), st.decimals(Decimal("0.5"), 2, places=6), RATES, st.integers(-(10**6), 10**6))
def test_what_did_not_arrive_went_somewhere(source: int, quoted: Decimal, rate: Decimal, lost: int) -> None:
    """What was quoted is what arrived, the fee and the slippage, to the last unit."""
    fee = fee_of(source, rate)
    told = round(source * quoted) if source < 10**12 else int(Decimal(source) * quoted)
    found = cost_of(source, quoted, told - fee - lost, fee)
    assert abs(found.slippage - lost) <= 1
    assert found.fee == fee
