"""How fast money moves: windows and whole days, whatever is saved in between."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.times import DAY_MS
from domain.treasury.pace import Paces
from tests.treasury_words import USDC

HOUR_MS = 3_600_000


def closed(nets: list[int], *, restored: bool = False) -> Paces:
    """The pace after windows of an hour, from midnight on."""
    paces = Paces(24)
    for n, net in enumerate(nets, 1):
        paces.close(n * HOUR_MS, [(USDC, net)])
        paces = Paces(24, paces.snapshot()) if restored else paces
    return paces


def test_a_day_counts_when_the_next_one_has_begun() -> None:
    """Twenty-four windows are a day; the one that ends at midnight belongs to it."""
    assert 0 == closed([-5] * 24).of(USDC).days.windows
    pace = closed([-5] * 49).of(USDC)
    assert (2, Decimal(-120), Decimal(0)) == tuple(pace.days)
    assert (-5, 2) == (pace.flowed, pace.day)
    assert DAY_MS == 24 * HOUR_MS


@given(st.lists(st.integers(-(10**12), 10**12), max_size=60))
def test_a_snapshot_is_all_there_is(nets: list[int]) -> None:
    """Saved and restored after each window, the pace is the same."""
    assert closed(nets).of(USDC) == closed(nets, restored=True).of(USDC)
