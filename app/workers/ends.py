"""What follows from how the processes of a flow ended: a start after a pause, or an end for good.

An end says by its exit code who has to act. Where something outside is *away* nobody has to: the flow is started again with
growing pauses for as long as that lasts, and goes on by itself. What a person has to mend ends it. Anything else is a *fall*,
started again as well, but not for ever: a flow that falls too often in a short time needs somebody to look.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from domain.errors import AwayError, BallastError, ConfigError, FencedError, InvariantError

FALLS_MAX = 5
FALLS_WINDOW_SECONDS = 60.0
FALL_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
AWAY_PAUSES_SECONDS = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
OUTAGE_GAP_SECONDS = 200.0
"""A start during an outage ends sooner than that, by the longest time that anything in it waits for an answer."""

AWAY: Mapping[int, str] = {68: "Kafka", 69: "Postgres"}
"""What is away, by the exit code of a worker that needs it."""

MENDED_BY_A_PERSON = {error.exit_code: error for error in (ConfigError, FencedError, InvariantError)}


class CrashLoopError(BallastError):
    """A group of workers falls again and again; a person has to look."""


class End(NamedTuple):
    """When the processes of a flow ended, in seconds of any clock, and with which code."""

    at_seconds: float
    code: int


class Restart(NamedTuple):
    """Start again after a pause; `away` names what is waited for, since when by the clock of the ends, "" when nothing is."""

    pause_seconds: float
    away: str = ""
    since_seconds: float = 0.0


class GiveUp(NamedTuple):
    """Do not start again; `why` completes a sentence that begins with the flow."""

    error: type[BallastError]
    why: str


def code_of(error: BallastError) -> int:
    """Return the exit code by which a worker says what ended it."""
    return next(
        (code for code, what in AWAY.items() if isinstance(error, AwayError) and error.what == what), error.exit_code
    )


def telling(codes: Iterable[int]) -> int:
    """Return the code that says most of why a group ended: its processes fall together, most of them over the first one."""
    return min(codes, key=lambda code: (code not in MENDED_BY_A_PERSON, code not in AWAY, code <= 0))


def next_step(ends: Sequence[End]) -> Restart | GiveUp:
    """Return what to do after the last of these ends."""
    last = ends[-1]
    if last.code in MENDED_BY_A_PERSON:
        return GiveUp(MENDED_BY_A_PERSON[last.code], "stopped and was not started again, see what it said")
    if last.code in AWAY:
        lasting = outage(ends)
        return Restart(_growing(AWAY_PAUSES_SECONDS, len(lasting)), AWAY[last.code], lasting[0].at_seconds)
    number = len(falls(ends))
    if number > FALLS_MAX:
        return GiveUp(CrashLoopError, f"fell {number} times within {FALLS_WINDOW_SECONDS:.0f} s")
    return Restart(_growing(FALL_PAUSES_SECONDS, number))


def falls(ends: Sequence[End]) -> Sequence[End]:
    """Return the falls within a window before the last end."""
    return [end for end in ends if end.code not in AWAY and ends[-1].at_seconds - end.at_seconds < FALLS_WINDOW_SECONDS]


def outage(ends: Sequence[End]) -> Sequence[End]:
    """Return the ends of the outage that lasts: the last ones, with nothing else and no long run in between."""
    first = len(ends)
    while first > 0 and ends[first - 1].code in AWAY and _soon(ends[first - 1 : first + 1]):
        first -= 1
    return ends[first:]


def _soon(pair: Sequence[End]) -> bool:
    return len(pair) == 1 or pair[1].at_seconds - pair[0].at_seconds < OUTAGE_GAP_SECONDS


def worth_keeping(ends: Sequence[End]) -> Sequence[End]:
    """Return the ends on which a later step may depend."""
    return [*falls(ends), *outage(ends)]


def _growing(pauses_seconds: Sequence[float], number: int) -> float:
    return pauses_seconds[min(number, len(pauses_seconds)) - 1]
