"""Thresholds that people write into the records by SQL, told to the flow (a `connectors.rounds.Rounds`).

The cursor is the id of the last version that was told, so each is told once, and after a crash those that the flow may not have
taken in are told again.
"""

from connectors.rounds import Round
from domain.messages.fields import Message
from domain.treasury.records import Versions

PAGE = 500


class ThresholdRounds:
    """Tells new versions in every round. Not thread-safe: one thread goes round; it owns `versions`."""

    def __init__(self, versions: Versions, cursor: int | None = None) -> None:
        self._versions = versions
        self._last_id = cursor or 0

    def round(self) -> Round[Message, int]:
        """Tell what was written since the last round, a page at most."""
        found = self._versions.after(self._last_id, PAGE)
        self._last_id = found[-1].id if found else self._last_id
        return Round([one.thresholds for one in found], self._last_id)

    def wait(self, seconds: float) -> None:
        """Return when something was written, after so many seconds at the latest."""
        self._versions.wait(seconds)

    def close(self) -> None:
        """Give the connection back."""
        self._versions.close()
