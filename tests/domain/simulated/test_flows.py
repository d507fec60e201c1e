"""The flows of many customers, by seed."""

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.simulated.flows import simulated_flows
from domain.times import DAY_MS

START_MS = 1_767_571_200_000


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.integers(1, 300))
def test_a_seed_is_a_day(seed: int, per_day: int) -> None:
    """The same seed gives the same flows, in the order of their times, each of a day that was asked for and of some amount."""
    flows = list(simulated_flows(seed, START_MS, 1, per_day))
    assert flows == list(simulated_flows(seed, START_MS, 1, per_day))
    assert all(one <= other for one, other in pairwise(flows))
    assert all(START_MS <= flow.at_ms < START_MS + DAY_MS and flow.amount for flow in flows)


def test_a_week_has_its_hours_and_days() -> None:
    """Afternoons are busier than nights, weekdays than Sundays, the broker is closed at nights and on weekends, and in all
    there are about as many flows as were asked for.
    """
    flows = list(simulated_flows(1, START_MS, 14, 500))
    hours = Counter((flow.at_ms - START_MS) // 3_600_000 % 24 for flow in flows)
    days = Counter((flow.at_ms - START_MS) // DAY_MS % 7 for flow in flows)
    assert sum(hours[hour] for hour in range(12, 18)) > 3 * sum(hours[hour] for hour in range(6))
    assert days[0] > days[6]
    assert 6_600 < len(flows) < 7_400
    broker = [flow.at_ms - START_MS for flow in flows if flow.buffer == "broker_operational"]
    assert broker
    assert all(at // DAY_MS % 7 < 5 and 14 <= at // 3_600_000 % 24 < 21 for at in broker)


def test_another_seed_is_another_day() -> None:
    """Seeds do not share their flows."""
    assert list(simulated_flows(1, START_MS, 1, 100)) != list(simulated_flows(2, START_MS, 1, 100))
