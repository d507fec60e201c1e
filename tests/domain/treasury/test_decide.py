"""What is done about a buffer; the table of cases is in tests/cases/treasury.json."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.buffer import Buffer, Thresholds, is_ordered, missing, status
from domain.treasury.decide import BufferDecision, BufferPolicy, decide_buffer, is_triggered, needed

LIMITS = st.tuples(st.integers(1, 50), st.integers(1, 50), st.integers(1, 50), st.integers(1, 60)).map(
    lambda steps: Thresholds(steps[0], steps[0] + steps[1], sum(steps[:3]), steps[3])
)
AMOUNTS = st.integers(0, 160)
BUFFERS = st.builds(
    Buffer, st.just("mine"), st.sampled_from(("USD", "USDC")), AMOUNTS, st.integers(0, 80), st.integers(0, 80), LIMITS
)
SOURCES = st.lists(BUFFERS, max_size=4).map(lambda found: [one._replace(name=str(at)) for at, one in enumerate(found)])
POLICIES = st.builds(
    BufferPolicy,
    st.sampled_from(("min", "target")),
    st.sampled_from(("exact", "batch")),
    st.booleans(),
    st.sampled_from((Decimal(0), Decimal("0.5"), Decimal(1))),
    st.integers(0, 20),
)


@given(BUFFERS, SOURCES, POLICIES)
def test_what_is_needed_is_ordered_or_told_as_short(buffer: Buffer, sources: list[Buffer], policy: BufferPolicy) -> None:
    """Legs and shortfall add up to the need, each source gives once, and where nothing is ordered nothing is asked of any."""
    found = decide_buffer(buffer, sources, policy)
    names = [leg.source for leg in found.legs]
    assert len(set(names)) == len(names)
    assert (found.action == "CONVERT") == bool(found.legs)
    if found.action in ("CONVERT", "SHORTFALL"):
        assert found.need == found.amount + found.shortfall
        assert buffer.position + found.need <= buffer.thresholds.max
    else:
        assert 0 == found.amount == found.shortfall


@given(BUFFERS, SOURCES, POLICIES)
def test_no_source_falls_under_its_floor(buffer: Buffer, sources: list[Buffer], policy: BufferPolicy) -> None:
    """A transfer leaves a source its target, a conversion its minimum where that is protected, and neither a debt."""
    by_name = {source.name: source for source in sources}
    for leg in decide_buffer(buffer, sources, policy).legs:
        source = by_name[leg.source]
        left = source.available - leg.amount
        assert (leg.how == "transfer") == (source.currency == buffer.currency)
        assert left >= (
            source.thresholds.target if leg.how == "transfer" else policy.protect_source_min * source.thresholds.min
        )
        assert leg.amount >= (1 if leg.how == "transfer" else policy.ticket_min)


@given(BUFFERS, BUFFERS, POLICIES)
def test_two_that_are_short_never_feed_each_other(one: Buffer, other: Buffer, policy: BufferPolicy) -> None:
    """Whatever two buffers ask of each other at once, at most one of them gives."""
    if policy.protect_source_min and policy.trigger == "min":
        gives = [decide_buffer(one, [other], policy).legs, decide_buffer(other, [one], policy).legs]
        assert not all(gives)


@given(BUFFERS, SOURCES, POLICIES)
def test_what_was_ordered_is_not_ordered_again(buffer: Buffer, sources: list[Buffer], policy: BufferPolicy) -> None:
    """Once all that was needed is in flight, the next evaluation finds enough; so the seed's second order never is."""
    found = decide_buffer(buffer, sources, policy)
    if found.action == "CONVERT" and not found.shortfall:
        after = buffer._replace(in_flight=buffer.in_flight + found.amount)
        assert BufferDecision("NONE", "enough") == decide_buffer(after, sources, policy)


@given(BUFFERS, POLICIES)
def test_batches_are_whole_unless_they_would_pass_the_maximum(buffer: Buffer, policy: BufferPolicy) -> None:
    """What is needed is what is missing, or the next whole batch if that fits."""
    lacks, need = missing(buffer.position, buffer.thresholds), needed(buffer, policy)
    assert need >= lacks or not is_triggered(buffer, policy)
    if need != lacks:
        assert (policy.rounding, 0) == ("batch", need % buffer.thresholds.batch)
        assert need - lacks < buffer.thresholds.batch


@pytest.mark.parametrize(
    ("thresholds", "ordered"),
    [((1, 2, 3, 1), True), ((0, 2, 3, 1), False), ((2, 2, 3, 1), False), ((1, 3, 3, 1), False), ((1, 2, 3, 0), False)],
)
def test_thresholds_follow_each_other(thresholds: tuple[int, int, int, int], ordered: bool) -> None:
    """All are above zero, and each is above the one before."""
    assert ordered == is_ordered(Thresholds(*thresholds))


@given(LIMITS, AMOUNTS)
def test_a_status_is_beyond_its_threshold(limits: Thresholds, balance: int) -> None:
    """An amount at a threshold is not beyond it."""
    low, below = balance < limits.min, balance < limits.target
    expected = {(True, True): "CRITICAL_LOW", (False, True): "BELOW_TARGET"}.get((low, below), "HEALTHY")
    assert ("OVER_CAPITALIZED" if balance > limits.max else expected) == status(balance, limits)
