"""Approvals; the table of cases is in tests/cases/treasury.json."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.control.approvals import Verdict, Vote, count

PEOPLE = frozenset(("ann", "bob", "cid", "dee"))
VOTES = st.lists(st.tuples(st.sampled_from((*sorted(PEOPLE), "eve")), st.sampled_from(("approve", "deny"))), max_size=8)


@given(VOTES, st.integers(1, 3))
def test_nobody_approves_alone_or_what_they_asked_for(votes: list[tuple[str, Vote]], required: int) -> None:
    """It is approved by as many others as are needed, none of whom asked, or is a stranger, or denied."""
    found = count("ann", PEOPLE, required, votes)
    assert found.agreed <= PEOPLE - {"ann"}
    assert (found.verdict == "approved") == (not found.is_denied and len(found.agreed) == required)
    assert found.agreed <= {who for who, said in votes if said == "approve"}


@given(VOTES, VOTES, st.integers(1, 3))
def test_an_end_is_an_end(votes: list[tuple[str, Vote]], more: list[tuple[str, Vote]], required: int) -> None:
    """Whatever comes after an approval or a denial changes nothing."""
    found = count("ann", PEOPLE, required, votes)
    if found.verdict != "pending":
        assert found == count("ann", PEOPLE, required, [*votes, *more])


@pytest.mark.parametrize(
    ("votes", "verdict"),
    [
        ([("bob", "approve"), ("bob", "deny")], "denied"),
        ([("ann", "deny")], "pending"),
        ([("eve", "deny"), ("bob", "approve"), ("cid", "approve")], "approved"),
    ],
)
def test_a_denial_ends_it_if_its_voter_may_vote(votes: list[tuple[str, Vote]], verdict: Verdict) -> None:
    """Whoever agreed may still deny; who asked, and strangers, deny nothing."""
    assert verdict == count("ann", PEOPLE, 2, votes).verdict
