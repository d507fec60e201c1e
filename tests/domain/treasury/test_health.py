"""Breakers; the table of cases is in tests/cases/treasury.json."""

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.health import BreakerEvent, BreakerPolicy, BreakerState, break_on

POLICY = BreakerPolicy(failures_to_open=3, open_ms=60, successes_to_close=2)
EVENTS = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(("success", "failure", "asked"))), max_size=60)


def after(events: list[tuple[int, BreakerEvent]]) -> list[tuple[int, BreakerEvent, BreakerState]]:
    """Every event with its time and the state that it leaves."""
    breaker, now_ms, told = BreakerState(), 0, []
    for pause_ms, event in events:
        now_ms += pause_ms
        breaker = break_on(breaker, event, now_ms, POLICY)
        told.append((now_ms, event, breaker))
    return told


@given(EVENTS)
def test_it_opens_after_failures_in_a_row_and_not_before(events: list[tuple[int, BreakerEvent]]) -> None:
    """It goes from closed to open with the third failure since the last success, and by nothing else."""
    before, in_row = BreakerState(), 0
    for _, event, breaker in after(events):
        in_row = in_row + 1 if event == "failure" else 0 if event == "success" else in_row
        in_row = in_row if before.state == "closed" else 0
        assert (before.state == "closed" and breaker.state == "open") == (before.state == "closed" and in_row == 3)
        before = breaker


@given(EVENTS)
def test_nothing_is_tried_until_its_time_is_over(events: list[tuple[int, BreakerEvent]]) -> None:
    """Whoever asks finds it half open after sixty milliseconds and not before; nothing else moves it out of open."""
    before = BreakerState()
    for now_ms, event, breaker in after(events):
        if before.state == "open":
            is_over = event == "asked" and now_ms - before.opened_at_ms >= POLICY.open_ms
            assert breaker == (BreakerState("half_open", 0, before.opened_at_ms) if is_over else before)
        if before.state == "half_open" and event == "failure":
            assert breaker == BreakerState("open", 0, now_ms)
        before = breaker
