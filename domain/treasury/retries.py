"""How long to wait before a job is tried again, and how loud to be about it.

The delay doubles from a first value up to a cap. The attempt that is the last one is an error, those before it are
warnings. The numbers are those of the reference system's job executor; its wallet poller starts at 5 seconds.

Ahead of its flow: conversion jobs will ask it; so far only the reference's cases do.
"""

from dataclasses import dataclass
from typing import Literal

Level = Literal["WARN", "ERROR"]


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`warn_retries` failures are warnings; any after them is an error. Attempts are counted from one."""

    delay_first_seconds: int = 1
    delay_max_seconds: int = 60
    attempts_max: int = 5
    warn_retries: int = 4


def delays_seconds(policy: RetryPolicy) -> list[int]:
    """The waits before the second attempt, the third, and so on."""
    delays: list[int] = []
    delay = min(policy.delay_first_seconds, policy.delay_max_seconds)
    for _ in range(policy.attempts_max - 1):
        delays.append(delay)
        delay = min(delay * 2, policy.delay_max_seconds)
    return delays


def level(attempt: int, policy: RetryPolicy) -> Level:
    """How loud the failure of an attempt is."""
    return "WARN" if attempt <= policy.warn_retries else "ERROR"


def levels(policy: RetryPolicy) -> list[Level]:
    """How loud the failure of each attempt is, from the first to the last."""
    return [level(attempt, policy) for attempt in range(1, policy.attempts_max + 1)]
