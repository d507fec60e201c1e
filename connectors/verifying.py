"""Balances of customers verified beside a flow (a `connectors.rounds.Rounds`): that all assets come to zero in every round, and
some customers from their history now and then.

The cursor is when customers are due next. What was found is told once, and again when it has changed or this begins anew.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from connectors.rounds import Round
from domain.messages.ops import Alert
from domain.settlement.verifying import Residual, Verifies, alerts


class Often(NamedTuple):
    """How often all sums are looked at, how often customers are, and how many of them then."""

    zero_sum_ms: int
    sample_ms: int
    sample: int


class VerifyingRounds:
    """Tells an alert for each error. Not thread-safe: one thread goes round; it owns `verifies`."""

    def __init__(self, verifies: Verifies, now_ms: Callable[[], int], often: Often, due_ms: int | None = None) -> None:
        self._verifies, self._now_ms, self._often = verifies, now_ms, often
        self._due_ms, self._sums_due_ms = due_ms or 0, 0
        self._residuals: Sequence[Residual] = ()

    def round(self) -> Round[Alert, int]:
        """Look at all sums, and at some customers, when they are due."""
        at_ms, told = self._now_ms(), list[Alert]()
        if at_ms >= self._sums_due_ms:
            self._sums_due_ms = at_ms + self._often.zero_sum_ms
            told += self._sums(at_ms)
        if at_ms >= self._due_ms:
            self._due_ms = at_ms + self._often.sample_ms
            told += alerts(self._verifies.verify("hourly", self._verifies.next_customers(self._often.sample)), at_ms)
        return Round(told, self._due_ms)

    def _sums(self, at_ms: int) -> Sequence[Alert]:
        """Look for who has what is too much; the same sums as before say nothing new."""
        residuals, before = self._verifies.residuals(), self._residuals
        self._residuals = residuals
        if not residuals or residuals == before:
            return ()
        suspects = sorted({customer for one in residuals for customer in self._verifies.suspects(one.asset)})
        return alerts(self._verifies.verify("continuous", suspects, residuals), at_ms)

    def wait(self, seconds: float) -> None:
        """Return after so many seconds: nobody says when something is wrong."""
        time.sleep(seconds)

    def close(self) -> None:
        """Give the connections back."""
        self._verifies.close()
