"""Caps; the table of cases is in tests/cases/treasury.json."""

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.caps import Acted, Caps, is_capped

CAPS = Caps(action_max=50, cycle_max=100, cycle_ms=60)


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 70)), max_size=30))
def test_no_sliding_time_has_more_than_its_cap(asked: list[tuple[int, int]]) -> None:
    """Whatever is asked when: what was done within any sixty milliseconds is within the cap, and so is each action."""
    acted, now_ms = list[Acted](), 0
    for pause_ms, amount in asked:
        now_ms += pause_ms
        if not is_capped(amount, now_ms, acted, CAPS):
            acted.append(Acted(now_ms, amount))
    assert all(one.amount <= 50 for one in acted)
    for last in acted:
        assert sum(one.amount for one in acted if last.at_ms - 60 < one.at_ms <= last.at_ms) <= 100
