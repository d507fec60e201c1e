"""The nearest change is a change, and there is none nearer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.buffer import Buffer, Thresholds
from domain.treasury.decide import BufferPolicy, decide_buffer
from domain.treasury.nearest import nearest_change

LIMITS = Thresholds(100, 500, 1_000, 200)
SOURCE = Buffer("fiat", "USD", 2_000, 0, 0, Thresholds(200, 1_000, 3_000, 500))


def buffer(posted: int, in_flight: int = 0, reserved: int = 0) -> Buffer:
    """A buffer of USDC."""
    return Buffer("usdc", "USDC", posted, in_flight, reserved, LIMITS)


@pytest.mark.parametrize(
    ("one", "by", "action"),
    [
        (buffer(80), 20, "NONE"),
        (buffer(120), -21, "CONVERT"),
        (buffer(990), 11, "SWEEP_SUGGESTED"),
        (buffer(1_001), -1, "NONE"),
        (buffer(55), -6, "CONVERT"),
        (buffer(0, in_flight=95), 5, "NONE"),
    ],
)
def test_the_nearest_change(one: Buffer, by: int, action: str) -> None:
    """Worked by hand: to the trigger and beyond it, to the maximum and beyond it, into an emergency."""
    found = nearest_change(one, [SOURCE], BufferPolicy())
    assert found is not None
    assert (by, action) == (found.by, found.action)


@given(
    st.integers(0, 1_200),
    st.integers(0, 300),
    st.integers(0, 300),
    st.sampled_from(["min", "target"]),
    st.integers(0, 60),
    st.integers(0, 900),
)
def test_there_is_none_nearer(posted: int, in_flight: int, reserved: int, trigger: str, ticket: int, source: int) -> None:
    """Every amount that is nearer is decided as it was, by the same rule and as urgently."""
    policy = BufferPolicy(trigger=trigger, ticket_min=ticket)  # type: ignore[arg-type]
    one, giver = buffer(posted, in_flight, reserved), SOURCE._replace(posted=source)
    found = nearest_change(one, [giver], policy)

    def decided(amount: int) -> tuple[str, str, bool]:
        it = decide_buffer(one._replace(posted=amount), [giver], policy)
        return it.action, it.rule, it.is_emergency

    nearer = (
        range(max(0, posted - 1_300), posted + 1_300)
        if found is None
        else range(max(0, posted - abs(found.by) + 1), posted + abs(found.by))
    )
    assert {decided(posted)} == {decided(amount) for amount in nearer}
    if found is not None:
        assert (found.action, found.rule, found.is_emergency) == decided(found.posted) != decided(posted)
