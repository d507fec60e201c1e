"""What a policy would have done: a group of buffers over flows that were; the cases of one buffer are RPL-01."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.backtest import GroupFlow, Replayed, Terms, backtest, idle_cost, one_by_one, replay
from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.decide import BufferPolicy
from domain.treasury.fees import fee_of
from domain.treasury.forecast import Moments

SPAN_MS, DAY_MS = 300_000, 86_400_000
LIMITS = Thresholds(10_000, 50_000, 100_000, 20_000)
SOURCES = {"a": ("b",), "b": ("c", "a"), "c": ("b", "a")}
TERMS = Terms(Decimal("0.005"), 900_000, SPAN_MS, SOURCES)
OPENED = [Buffer(name, currency, 50_000, 0, 0, LIMITS) for name, currency in (("a", "USDC"), ("b", "USD"), ("c", "USD"))]
FLOWS = st.lists(
    st.builds(GroupFlow, st.integers(0, 40 * SPAN_MS), st.sampled_from("abc"), st.integers(-30_000, 30_000)), min_size=1
).map(sorted)
POLICIES = st.builds(
    BufferPolicy,
    st.sampled_from(["min", "target"]),
    st.sampled_from(["exact", "batch"]),
    st.booleans(),
    st.decimals(0, 1, places=2),
    st.integers(0, 2_000),
)


def _halved(_days: Moments, told: Thresholds) -> Thresholds:
    return Thresholds(told.min // 2, told.target // 2, told.max // 2, told.batch)


@given(FLOWS, POLICIES, st.sampled_from([None, _halved]))
def test_no_money_is_lost(flows: list[GroupFlow], policy: BufferPolicy, follow: Any) -> None:
    """What all have in the end, what is on its way and what fees took is what was there and what flowed."""
    found = replay(OPENED, flows, policy, TERMS, follow)
    there = sum(found.levels[-1].values()) + found.in_flight + found.fees
    assert 150_000 + sum(flow.amount for flow in flows) == there
    assert found == replay(OPENED, flows, policy, TERMS, follow)


@given(FLOWS, POLICIES)
def test_nothing_was_lower_than_the_lowest(flows: list[GroupFlow], policy: BufferPolicy) -> None:
    """At no window's end has a buffer less than the lowest that is told of it."""
    found = replay(OPENED, flows, policy, TERMS)
    assert all(level[name] >= found.low[name] for level in found.levels for name in level)
    assert found.under_min >= found.below_zero


@pytest.mark.parametrize("trigger", ["min", "target"])
@given(amounts=st.lists(st.integers(-30_000, 30_000), min_size=1, max_size=30))
def test_a_group_with_a_rich_source_is_one_buffer(trigger: Any, amounts: list[int]) -> None:
    """Where a source has all that is wanted, a window has one flow and nothing takes time or costs, both ways agree."""
    rich = Buffer("b", "USD", 10**9, 0, 0, Thresholds(1, 2, 10**10, 1))
    policy, free = BufferPolicy(trigger), Terms(Decimal(0), 0, SPAN_MS, {"a": ("b",), "b": ()})
    flows = [GroupFlow(number * SPAN_MS, "a", amount) for number, amount in enumerate(amounts)]
    group, alone = replay([OPENED[0], rich], flows, policy, free), backtest(OPENED[0], amounts, policy, Decimal(0))
    assert (alone.conversions, alone.volume, alone.low) == (group.conversions, group.volume, group.low["a"])
    assert alone.close == group.levels[-1]["a"] + group.in_flight


@given(FLOWS)
def test_one_by_one(flows: list[GroupFlow]) -> None:
    """Every flow is a conversion of its own amount at its own fee, and no buffer has more than it had at first."""
    found = one_by_one(OPENED, flows, TERMS)
    assert (len(flows), sum(abs(flow.amount) for flow in flows)) == (found.conversions, found.volume)
    assert sum(fee_of(abs(flow.amount), TERMS.fee_rate) for flow in flows) == found.fees
    assert 50_000 >= max(max(level.values()) for level in found.levels)


def _played(flows: list[tuple[int, int]], policy: BufferPolicy = BufferPolicy()) -> Replayed:  # noqa: B008 - frozen
    return replay(OPENED, [GroupFlow(at_ms, "a", amount) for at_ms, amount in flows], policy, TERMS)


@pytest.mark.parametrize(
    ("flows", "conversions", "levels"),
    [
        ([(0, -41_000)], 1, [9_000]),  # at the end of the window 41,000 are ordered, of which b gives 40,000
        ([(0, -41_000), (600_000, 0)], 1, [9_000, 9_000, 9_000]),  # what is on its way is not ordered again
        (
            [(0, -41_000), (1_200_000, 0)],
            1,
            [9_000, 9_000, 9_000, 48_800, 48_800],
        ),  # and is there after a quarter of an hour
        ([(0, -46_000), (1, 20_000)], 1, [24_000]),  # an emergency does not wait
    ],
)
def test_when_money_moves(flows: list[tuple[int, int]], conversions: int, levels: list[int]) -> None:
    """Orders are made at the end of a window or at once, count while they are on their way, and arrive after their time."""
    found = _played(flows)
    assert (conversions, levels) == (found.conversions, [level["a"] for level in found.levels])


def test_no_buffer_that_triggers_at_its_minimum_feeds_in_circles() -> None:
    """Where all are between minimum and target, minimum does nothing; target moves the same money back and forth, for fees."""
    quiet = [(window * SPAN_MS, -100 if window == 0 else 0) for window in range(60)]
    low = [buffer._replace(posted=30_000) for buffer in OPENED]
    flows = [GroupFlow(at_ms, "a", amount) for at_ms, amount in quiet]
    assert 0 == replay(low, flows, BufferPolicy("min"), TERMS).conversions
    assert 10 < replay(low, flows, BufferPolicy("target"), TERMS).conversions


def test_idle_money_costs() -> None:
    """A dollar over its target for a year costs a year's rate."""
    over = OPENED[0]._replace(posted=60_000)
    found = replay(
        [over], [GroupFlow(0, "a", 0), GroupFlow(DAY_MS - 1, "a", 0)], BufferPolicy(), TERMS._replace(sources={"a": ()})
    )
    assert round(10_000 * 0.0365 / 365) == idle_cost(found, Decimal("0.0365"), SPAN_MS)
