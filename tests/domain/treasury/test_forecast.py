"""When a buffer falls under its minimum: a band around a middle, by how money has moved of late."""

from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.times import LATEST_MS
from domain.treasury.forecast import Moments, depletion, per_day, weigh_in

NOW_MS, SPAN_MS, Z = 1_770_000_000_000, 300_000, Decimal("1.645")
AMOUNTS = st.integers(0, 10**15)
OUT = st.builds(
    Moments, st.just(9), st.decimals(Decimal(-(10**12)), Decimal("-0.001"), places=3), st.decimals(0, 10**20, places=3)
)


def _after(flows: list[int], memory: int) -> Moments:
    moments = Moments()
    for flow in flows:
        moments = weigh_in(moments, flow, memory)
    return moments


@given(st.lists(st.integers(-(10**12), 10**12), min_size=1, max_size=12))
def test_the_first_windows_count_the_same(flows: list[int]) -> None:
    """While there are few windows the moments are the plain mean and variance."""
    found, count = _after(flows, 30), len(flows)
    mean = Fraction(sum(flows), count)
    variance = sum((flow - mean) ** 2 for flow in flows) / count
    assert count == found.windows
    assert abs(Fraction(found.mean) - mean) < Fraction(1, 10**20)
    assert abs(Fraction(found.variance) - variance) <= variance / 10**25 + Fraction(1, 10**10)


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 10))
def test_what_was_is_forgotten(before: int, now: int, memory: int) -> None:
    """After many windows of one flow, what flowed before them counts for nothing that matters."""
    found = _after([before] * 3 + [now] * 300, memory)
    assert abs(found.mean - now) < 1
    assert 0 <= found.variance < 1


@given(st.lists(st.integers(-(10**15), 10**15), max_size=30), st.integers(1, 48))
def test_a_state_is_a_plain_tuple_of_bounded_size(flows: list[int], memory: int) -> None:
    """It goes on from its numbers alone, which never have more than forty digits."""
    found = _after(flows, memory)
    assert weigh_in(found, 5, memory) == weigh_in(Moments(*tuple(found)), 5, memory)
    assert all(len(one.as_tuple().digits) <= 40 for one in found[1:])


@given(AMOUNTS, AMOUNTS, OUT)
def test_the_middle_lies_in_its_band(position: int, minimum: int, moments: Moments) -> None:
    """No time is before now, and the middle is neither before the earliest nor after the latest."""
    found = depletion(position, minimum, moments, NOW_MS, SPAN_MS, Z)
    if found is not None:
        assert NOW_MS <= found.earliest_ms <= found.at_ms <= found.latest_ms <= LATEST_MS


@given(AMOUNTS, AMOUNTS, AMOUNTS, OUT)
def test_more_money_lasts_longer(one: int, other: int, minimum: int, moments: Moments) -> None:
    """With a larger position no time of the band is earlier."""
    less, more = (depletion(position, minimum, moments, NOW_MS, SPAN_MS, Z) for position in sorted((one, other)))
    never = (LATEST_MS + 1,) * 3
    assert all(a <= b for a, b in zip(less or never, more or never, strict=True))


@given(AMOUNTS, AMOUNTS, st.decimals(0, 10**12, places=3), st.decimals(0, 10**20, places=3))
def test_without_outflow_there_is_no_end(position: int, minimum: int, mean: Decimal, variance: Decimal) -> None:
    """Where money does not flow out nothing is foretold."""
    assert depletion(position, minimum, Moments(9, mean, variance), NOW_MS, SPAN_MS, Z) is None


@given(st.integers(1, 10**6), st.integers(0, 10**12), st.integers(1, 60), st.integers(1, 60))
def test_the_length_of_windows_does_not_matter(per_minute: int, gap: int, one: int, other: int) -> None:
    """Money that flows out at one rate is gone at one time, whatever windows it is counted in."""
    found = [
        depletion(gap, 0, _after([-per_minute * minutes] * 5, 24), NOW_MS, minutes * 60_000, Z) for minutes in (one, other)
    ]
    for told in found:
        exact = NOW_MS + Fraction(gap, per_minute) * 60_000
        assert told is None if exact > LATEST_MS else told is not None and all(abs(at - exact) <= 1 for at in told)


def test_at_the_present_rate() -> None:
    """60,000 over the minimum, 1,000 less with each window of five minutes, are gone after five hours; and the edges of the
    band are where the mean and its deviation leave nothing.
    """
    found = depletion(70_000, 10_000, Moments(9, Decimal(-1_000), Decimal(250_000)), NOW_MS, SPAN_MS, Decimal(2))
    assert found is not None
    assert NOW_MS + 5 * 3_600_000 == found.at_ms
    for at_ms, sign in ((found.earliest_ms, 1), (found.latest_ms, -1)):
        windows = (at_ms - NOW_MS) / SPAN_MS
        assert abs(60_000 - 1_000 * windows - sign * 2 * 500 * windows**0.5) < 1


def test_what_is_under_its_minimum_already() -> None:
    """A position under the minimum, out of which money flows, has fallen now."""
    assert (NOW_MS,) * 3 == depletion(1, 2, Moments(9, Decimal(-1), Decimal(0)), NOW_MS, SPAN_MS, Z)


@given(OUT)
def test_a_day_is_many_windows(moments: Moments) -> None:
    """A day has the mean and the variance of all of its windows together."""
    day = per_day(moments, SPAN_MS)
    assert (288 * moments.mean, 288 * moments.variance) == (day.mean, day.variance)
