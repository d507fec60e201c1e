"""The life of a conversion; the table of cases is in tests/cases/treasury.json."""

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.control.states import refused_at
from domain.messages.treasury import JobState
from domain.treasury.job import JOB_STATES, LATE, STEPS, is_late, may_step
from domain.treasury.stale import WITH_PROVIDER, Enquiry, act_on_stale, is_stale

PATHS = st.lists(st.sampled_from(JOB_STATES), min_size=1, max_size=9)


@given(PATHS)
def test_a_path_is_walked_as_far_as_the_table_goes(path: list[JobState]) -> None:
    """It is refused at the first step that is not in the table, and late if it came back from an end before that."""
    steps = list(pairwise(path))
    refused = [number for number, step in enumerate(steps, 1) if not may_step(*step)]
    assert refused_at(STEPS, path) == (refused[0] if refused else None)
    walked = path[: refused[0]] if refused else path
    assert is_late(walked) == any(before in LATE for before in walked[:-1])


def test_every_state_is_in_the_table_and_none_repeats_itself() -> None:
    """Each has its steps, none leads to itself, and what is completed stays so."""
    assert set(JOB_STATES) == set(STEPS)
    assert not any(state in after for state, after in STEPS.items())
    assert frozenset() == STEPS["completed"]


def test_money_moves_into_the_books_by_one_way() -> None:
    """A job is completed after its posting alone, and that follows the provider's word alone, also a late one."""
    assert {"ledger_updating"} == {state for state, after in STEPS.items() if "completed" in after}
    assert {"provider_completed"} == {state for state, after in STEPS.items() if "ledger_updating" in after}
    assert LATE < {state for state, after in STEPS.items() if "provider_completed" in after}


@pytest.mark.parametrize("state", JOB_STATES)
def test_only_what_is_with_a_provider_is_stale(state: JobState) -> None:
    """After the time-out and a millisecond, and not before; whoever waits for something else is not."""
    assert (state in WITH_PROVIDER) == is_stale(state, 1_000, 61_001, 60_000)
    assert not is_stale(state, 1_000, 61_000, 60_000)


@given(st.sampled_from((None, *get_args(Enquiry))), st.none() | st.integers(0, 100), st.integers(0, 200))
def test_nothing_is_sent_again_that_may_have_been_carried_out(enquiry: Enquiry | None, eta: int | None, took: int) -> None:
    """A request is sent again when its provider says that it does not know it, and then alone."""
    found = act_on_stale(0, took, enquiry, eta)
    assert (found == "resubmit_same_key") == (enquiry == "not_found")
    assert (found == "alert_only") == (enquiry == "processing" and eta is not None and took <= eta)
    assert (found == "ask") == (enquiry is None)
