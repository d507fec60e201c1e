"""Retries: delays that double up to a cap, and a last attempt that is an error."""

from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.retries import RetryPolicy, delays_seconds, level, levels

POLICIES = st.builds(RetryPolicy, st.integers(1, 99), st.integers(1, 99), st.integers(1, 20), st.integers(0, 20))


def test_defaults_are_the_reference_ones() -> None:
    """Five attempts, one to eight seconds apart, and only the last is an error."""
    assert delays_seconds(RetryPolicy()) == [1, 2, 4, 8]
    assert levels(RetryPolicy()) == ["WARN", "WARN", "WARN", "WARN", "ERROR"]


def test_delays_stop_growing_at_the_cap() -> None:
    """No delay is longer than the cap."""
    assert delays_seconds(RetryPolicy(delay_first_seconds=20)) == [20, 40, 60, 60]


@given(POLICIES)
def test_one_delay_less_than_attempts(policy: RetryPolicy) -> None:
    """There is a delay before every attempt but the first, none shorter than the one before, none beyond the cap."""
    delays = delays_seconds(policy)
    assert policy.attempts_max - 1 == len(delays)
    assert delays == sorted(delays)
    assert all(delay <= policy.delay_max_seconds for delay in delays)
    assert levels(policy) == [level(attempt, policy) for attempt in range(1, policy.attempts_max + 1)]
