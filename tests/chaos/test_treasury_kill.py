"""The treasury's worker dies at each step of a job and comes again; the provider's record and the books agree."""

import os
from collections import Counter

import pytest

from tests.chaos.treasury_kills import STEPS, Survived, survive

KILLS = int(os.environ.get("BALLAST_TEST_TREASURY_KILLS", "1"))
SEED = 1
pytestmark = [pytest.mark.crash, pytest.mark.postgres, pytest.mark.timeout(1800 + 600 * KILLS)]


@pytest.fixture(scope="module")
def survived() -> Survived:
    """One loop of kills, shared by its tests; BALLAST_TEST_TREASURY_KILLS says how many at each of the eight steps."""
    return survive(KILLS, SEED)


def test_every_step_was_killed_at(survived: Survived) -> None:
    """At each step so many workers died (BALLAST_TEST_TREASURY_KILLS), and the last one stops with code 0."""
    assert (dict.fromkeys(STEPS, KILLS), 0) == (survived.kills, survived.exit_code)


def test_what_the_provider_did_is_booked_once(survived: Survived) -> None:
    """Each conversion that the provider carried out has one posting, under its own name, and no posting has none."""
    assert {(id_, one.provider_tx_id) for id_, one in survived.done.items()} == {row[:2] for row in survived.booked}
    assert len(survived.done) == len(survived.booked)


def test_no_job_is_lost_and_none_is_paid_twice(survived: Survived) -> None:
    """Every job is completed by one conversion, as many dollars' worth as customers took."""
    assert {"completed"} == {state for _, state, _, _ in survived.jobs}
    assert 1 == max(Counter(job_id for _, _, job_id in survived.booked).values())
    assert {job_id for job_id, _, _, _ in survived.jobs} == {job_id for _, _, job_id in survived.booked}


def test_the_buffer_is_what_flowed_and_what_was_given(survived: Survived) -> None:
    """The USDC buffer has what it began with, less what customers took, plus what the provider gave, to the minor unit."""
    given = sum(one.destination_amount or 0 for one in survived.done.values())
    assert 50_000_000_000 - survived.flows * 46_000_000_000 + given == survived.usdc
