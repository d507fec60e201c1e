"""Statements of providers and the books: a table of cases, and the difference is always what is in transit and what is broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.treasury.agreement import Movement, agree

USDC, FIAT = "SYSTEM_BUFFER_USDC", "SYSTEM_BUFFER_FIAT"
TAKEN, GIVEN = Movement(FIAT, "c", "P1", -100), Movement(USDC, "c", "P1", 995_000)


@pytest.mark.parametrize(
    ("told", "booked", "under_way", "agreed", "in_transit", "breaks"),
    [
        ([TAKEN, GIVEN], [TAKEN, GIVEN], (), 2, [], []),
        ([TAKEN, GIVEN], [], ("c",), 0, [TAKEN, GIVEN], []),
        ([TAKEN, GIVEN], [], ("other",), 0, [], [("not_in_books", -100), ("not_in_books", 995_000)]),
        ([], [TAKEN], ("c",), 0, [], [("not_on_statement", 100)]),
        ([GIVEN], [GIVEN._replace(amount=995_001)], ("c",), 0, [], [("amount", -1)]),
        ([GIVEN, GIVEN._replace(provider_tx_id="P2")], [GIVEN], (), 1, [], [("not_in_books", 995_000)]),
        ([], [], ("c",), 0, [], []),
    ],
)
def test_each_line_agrees_or_has_a_name(
    told: list[Movement],
    booked: list[Movement],
    under_way: tuple[str, ...],
    agreed: int,
    in_transit: list[Movement],
    breaks: list[tuple[str, int]],
) -> None:
    """What is under way is in transit as long as nothing of it is booked; all else that differs is a break."""
    found = agree(told, booked, under_way)
    assert (agreed, in_transit) == (found.agreed, found.in_transit)
    assert breaks == [(one.kind, one.amount) for one in found.breaks]


MOVEMENTS = st.lists(
    st.builds(
        Movement,
        st.sampled_from([USDC, FIAT]),
        st.sampled_from("abc"),
        st.sampled_from(["P1", "P2"]),
        st.integers(-9, 9),
    ),
    max_size=8,
)


@given(MOVEMENTS, MOVEMENTS, st.sets(st.sampled_from("abc")))
def test_the_difference_is_what_is_in_transit_and_what_is_broken(
    told: list[Movement], booked: list[Movement], under_way: set[str]
) -> None:
    """Nothing that differs is left out, whatever both sides say."""
    apart = sum(one.amount for one in told) - sum(one.amount for one in booked)
    assert apart == agree(told, booked, under_way).difference
