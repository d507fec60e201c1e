"""What follows from the ends of a flow: outages are waited out, falls are counted, and what a person mends ends it."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workers.ends import (
    AWAY,
    AWAY_PAUSES_SECONDS,
    FALL_PAUSES_SECONDS,
    FALLS_MAX,
    FALLS_WINDOW_SECONDS,
    MENDED_BY_A_PERSON,
    OUTAGE_GAP_SECONDS,
    CrashLoopError,
    End,
    GiveUp,
    Restart,
    code_of,
    next_step,
    telling,
    worth_keeping,
)
from domain.errors import AwayError, BallastError, ConfigError, FencedError, InvariantError

KAFKA, POSTGRES = AWAY
FIRST, SECOND = AWAY_PAUSES_SECONDS[:2]
ENDS = st.lists(
    st.tuples(st.floats(0, 400), st.sampled_from([1, -9, *AWAY, *MENDED_BY_A_PERSON])), min_size=1, max_size=40
).map(lambda pairs: [End(at, code) for at, code in zip(accumulate(p[0] for p in pairs), (p[1] for p in pairs), strict=True)])


@pytest.mark.parametrize(
    ("ends", "step"),
    [
        ([End(0, 1)], Restart(FALL_PAUSES_SECONDS[0])),
        ([End(0, 1), End(1, -9)], Restart(FALL_PAUSES_SECONDS[1])),
        ([End(0, 1), End(FALLS_WINDOW_SECONDS, 1)], Restart(FALL_PAUSES_SECONDS[0])),
        ([End(n, 1) for n in range(FALLS_MAX + 1)], GiveUp(CrashLoopError, "fell 6 times within 60 s")),
        ([End(0, POSTGRES)], Restart(FIRST, "Postgres", 0)),
        ([End(0, POSTGRES), End(5, POSTGRES)], Restart(SECOND, "Postgres", 0)),
        ([End(0, POSTGRES), End(5, KAFKA)], Restart(SECOND, "Kafka", 0)),
        ([End(0, POSTGRES), End(OUTAGE_GAP_SECONDS, POSTGRES)], Restart(FIRST, "Postgres", OUTAGE_GAP_SECONDS)),
        ([End(0, 1), End(1, KAFKA)], Restart(FIRST, "Kafka", 1)),
        ([*(End(n, KAFKA) for n in range(99)), End(99, 1)], Restart(FALL_PAUSES_SECONDS[0])),
        ([End(9.0 * n, 1 if n % 2 else KAFKA) for n in range(99)], Restart(FIRST, "Kafka", 882)),
        ([End(0, KAFKA), End(1, 78)], GiveUp(ConfigError, "stopped and was not started again, see what it said")),
    ],
)
def test_what_follows_from_an_end(ends: list[End], step: Restart | GiveUp) -> None:
    """A pause that grows with what came before, or an end that names who has to act."""
    assert step == next_step(ends)


@pytest.mark.parametrize("code", AWAY)
def test_an_outage_never_ends_a_flow(code: int) -> None:
    """It is waited out for days, with pauses that grow to half a minute, and is said to have begun when it began."""
    ends = [End(float(at), code) for at in range(0, 3 * 86_400, 30)]
    assert Restart(30.0, AWAY[code], 0.0) == next_step(ends)
    pauses = [step.pause_seconds for n in range(1, 9) if isinstance(step := next_step(ends[:n]), Restart)]
    assert sorted(pauses) == pauses
    assert [*AWAY_PAUSES_SECONDS, 30.0, 30.0] == pauses


@given(ENDS)
def test_what_is_not_kept_does_not_matter(ends: list[End]) -> None:
    """The step is the same from the ends that are worth keeping, whatever was before."""
    kept: list[End] = []
    for end in ends:
        kept = [*worth_keeping([*kept, end])]
    assert next_step(ends) == next_step(kept)


@pytest.mark.parametrize(
    ("codes", "code"),
    [([1], 1), ([0, 1], 1), ([-9, 1], 1), ([1, KAFKA, -9], KAFKA), ([KAFKA, 75, 1], 75), ([-15], -15), ([0], 0)],
)
def test_the_process_that_knows_most_is_believed(codes: list[int], code: int) -> None:
    """Processes that fall over another one say less of it than that one does."""
    assert code == telling(codes)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (AwayError("it does not answer", "Kafka"), KAFKA),
        (AwayError("it does not answer", "Postgres"), POSTGRES),
        (ConfigError("a setting"), 78),
        (FencedError("another"), 75),
        (InvariantError("books"), 70),
        (BallastError("anything"), 1),
    ],
)
def test_a_worker_says_by_its_code_who_has_to_act(error: BallastError, code: int) -> None:
    """Nobody, where something is only away."""
    assert code == code_of(error)
