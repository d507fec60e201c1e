"""OKX positions: signed cents, and never a guess."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import plain
from domain.venue.okx import OkxPosition, UnreadablePosition, parse_position


def row(position: Any, notional: Any, last: Any) -> dict[str, Any]:
    """A position as OKX writes it."""
    return {"pos": position, "notionalUsd": notional, "last": last, "instId": "BTC-USD-SWAP"}


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        (None, ("0", "0")),
        (row("0", "", ""), ("0", "0")),
        (row("0", "0", "20000"), ("0", "2000000")),
        (row("-5", "499.97", "20000.1"), ("-49997", "2000010")),
        (row("2", "200.1", "20000"), ("20010", "2000000")),
    ],
)
def test_positions_that_can_be_read(position: dict[str, Any] | None, expected: tuple[str, str]) -> None:
    """The exposure is the notional with the sign of the contracts; flat and absent are zero."""
    parsed = parse_position(position)
    assert isinstance(parsed, OkxPosition)
    assert expected == (plain(parsed.exposure_cents), plain(parsed.last_price_cents))


@pytest.mark.parametrize(
    "position",
    [row("-5", "", "20000"), row("", "1", "1"), row("NaN", "1", "1"), row(None, "1", "1"), row(-5, "1", "1"), {}],
)
def test_what_cannot_be_read_is_no_zero(position: dict[str, Any]) -> None:
    """A position that is neither flat nor complete is unreadable."""
    assert isinstance(parse_position(position), UnreadablePosition)


VALUES = st.none() | st.text("0123456789.-eN ", max_size=6) | st.floats()


@given(st.dictionaries(st.sampled_from(("pos", "notionalUsd", "last")), VALUES))
def test_nothing_makes_it_raise(position: dict[str, Any]) -> None:
    """Whatever comes, there is an answer."""
    assert isinstance(parse_position(position), OkxPosition | UnreadablePosition)
