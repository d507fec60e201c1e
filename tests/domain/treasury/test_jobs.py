"""The life of a job: which word moves it where, that no step is taken that the table does not know, and that none is lost."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.treasury import jobs
from domain.treasury.job import may_step
from domain.treasury.jobs import Job, Steps
from domain.treasury.retries import BackOff

NEW = Job("j", "d", "buffer_replenishment", "system_buffer_fiat", "system_buffer_usdc", 100, 990_000, 0, due_ms=0)
BACK_OFF = BackOff(60_000)
OUT = jobs.tried_with(NEW, "due", 900_000, 10)
ID = OUT.client_id or ""
THERE = jobs.accepted(OUT, ID, is_processing=False)[-1]
AT_WORK = jobs.accepted(THERE, ID, is_processing=True)[-1]
BOOKING = jobs.done(AT_WORK, ID, "P1", 99, 1, 20)[-1]
FAILED = jobs.failed(AT_WORK, "timed_out", None)[-1]

Word = Callable[[Job], Steps]
WORDS: dict[str, Word] = {
    "accepted": lambda job: jobs.accepted(job, ID, is_processing=False),
    "at work": lambda job: jobs.accepted(job, ID, is_processing=True),
    "done": lambda job: jobs.done(job, ID, "P1", 99, 1, 20),
    "done wrongly": lambda job: jobs.mismatched(job, ID, "P1", -7, 20),
    "nothing": lambda job: jobs.came_to_nothing(job, ID, "unavailable", "unavailable: later", 20, for_good=False),
    "never": lambda job: jobs.came_to_nothing(job, ID, "amount_invalid", None, 20, for_good=True),
    "nobody left": lambda job: jobs.nobody_left(job, "due: UNHEALTHY", 20, BACK_OFF),
    "posted": jobs.posted,
    "not posted": lambda job: jobs.not_posted(job, "over_limit"),
    "cancelled": lambda job: jobs.cancelled(job, "anna: typed twice"),
    "approved": lambda job: jobs.approved(job, 20),
    "of another attempt": lambda job: jobs.accepted(job, "other", is_processing=True),
}


@pytest.mark.parametrize(
    ("job", "word", "expected"),
    [
        (OUT, "accepted", ["provider_submitted"]),
        (OUT, "at work", ["provider_submitted", "provider_processing"]),
        (OUT, "done", ["provider_submitted", "provider_completed", "ledger_updating"]),
        (OUT, "nothing", ["pending"]),
        (OUT, "never", ["pending"]),
        (OUT, "of another attempt", []),
        (THERE, "at work", ["provider_processing"]),
        (THERE, "accepted", []),
        (THERE, "nothing", ["failed"]),
        (THERE, "done", ["provider_completed", "ledger_updating"]),
        (AT_WORK, "accepted", []),
        (AT_WORK, "done wrongly", ["provider_completed"]),
        (AT_WORK, "cancelled", ["cancelled"]),
        (BOOKING, "done", []),
        (BOOKING, "at work", []),
        (BOOKING, "nothing", []),
        (BOOKING, "cancelled", []),
        (BOOKING, "posted", ["completed"]),
        (BOOKING, "not posted", ["ledger_updating"]),
        (FAILED, "at work", []),
        (FAILED, "done", ["provider_completed", "ledger_updating"]),
        (FAILED, "cancelled", []),
        (NEW, "cancelled", ["cancelled"]),
        (NEW, "nothing", []),
        (NEW, "posted", []),
        (NEW._replace(awaits_approval=True), "approved", ["pending"]),
        (NEW, "approved", []),
    ],
)
def test_a_word_moves_a_job_where_the_table_says(job: Job, word: str, expected: list[str]) -> None:
    """A word that does not fit moves nothing; every step is one of its own, numbered without a gap."""
    steps = WORDS[word](job)
    assert expected == [one.state for one in steps]
    assert [job.sequence + n for n in range(1, len(steps) + 1)] == [one.sequence for one in steps]


def test_amounts_that_add_up_later_are_booked() -> None:
    """A word that corrects the one before moves the job on from where it was parked."""
    parked = jobs.mismatched(AT_WORK, ID, "P1", -7, 20)[-1]
    assert ("provider_completed", jobs.MISMATCH) == (parked.state, parked.error)
    assert () == jobs.mismatched(parked, ID, "P1", -7, 30)
    after = jobs.done(parked, ID, "P1", 99, 1, 30)[-1]
    assert ("ledger_updating", None, 99) == (after.state, after.error, after.received)


def test_a_job_waits_longer_each_time_and_then_fails() -> None:
    """After one, two and four minutes all are asked again; the fourth failure is the last."""
    job, waits = NEW, []
    for _ in range(3):
        (job,) = jobs.nobody_left(job, "due: UNHEALTHY", 0, BACK_OFF)
        waits.append(job.due_ms)
    (job,) = jobs.nobody_left(job, "due: UNHEALTHY", 0, BACK_OFF)
    assert [60_000, 120_000, 240_000] == waits
    assert ("failed", "NO_PROVIDER", "due: UNHEALTHY") == (job.state, job.error, job.reason)


def test_every_attempt_has_an_id_of_its_own_that_is_always_the_same() -> None:
    """The same attempt at the same job is the same request, and no other one."""
    again = jobs.tried_with(NEW, "zerohash", 0, 99)
    later = jobs.tried_with(jobs.came_to_nothing(OUT, ID, "x", None, 20, for_good=False)[-1], "due", 0, 30)
    assert OUT.client_id == again.client_id != later.client_id
    assert (1, 2) == (OUT.attempt, later.attempt)


@given(st.lists(st.sampled_from(sorted(WORDS)), max_size=12))
def test_whatever_is_said_a_job_takes_only_steps_that_there_are(words: list[str]) -> None:
    """Each step is in the table or changes no state; what is completed stays; and a snapshot is the job."""
    job = OUT
    for word in words:
        for step in WORDS[word](job):
            assert step.state == job.state or may_step(job.state, step.state)
            assert step == Job(*tuple(step))
            job = step
        assert not (job.is_out and not job.is_open)
