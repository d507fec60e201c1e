"""What can go wrong, by who has to act.

Bad *input* is never an exception: it is a `Rejection`, a value that flows to quarantine. Exceptions are for bugs and for
broken infrastructure, and there is one class per person who has to do something about it.
"""

from typing import NamedTuple

BOOKS_STAY = "start over an empty recovery folder: the ledger knows what it has booked, so nothing is booked twice"
"""The way on whenever what a flow has saved does not fit what is there."""


class BallastError(Exception):
    """The message says what is wrong, where, and what to do; the command line prints it as one sentence."""

    exit_code = 1


class ConfigError(BallastError):
    """The operator has to change a setting or start something; restarting as it is cannot help."""

    exit_code = 78


class AwayError(ConfigError):
    """Something that settings name does not answer: a command says so and ends, a worker waits until it does again.

    `what` names it, for whoever waits.
    """

    def __init__(self, message: str, what: str) -> None:
        super().__init__(message)
        self.what = what


class FencedError(BallastError):
    """Another writer has taken over; this one must stop and must not be restarted by itself."""

    exit_code = 75


class InvariantError(BallastError):
    """The books and what is about to be written contradict each other: stop and look."""

    exit_code = 70


class Rejection(NamedTuple):
    """A message that cannot be used, as it came.

    `reason` is a short stable code, `detail` a sentence for a person. The coordinates lead back to the message.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    key: bytes | None
    raw: bytes
