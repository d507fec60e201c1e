"""Which holds are to expire when: by event time, so a replay lets the same holds expire at the same moments.

A hold is watched once it is posted, until it has ended. When the watermark has passed its end the expiry is posted like
anything else, and the ledger decides the race with captures and voids that are on their way.
"""

from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from domain.ledger.journal import Outcome, Relation, Transaction, Verdict
from domain.templates.holds import expire

_ENDING = (Relation.CAPTURES, Relation.VOIDS, Relation.EXPIRES)


class HoldTimers:
    """The holds that may still expire. The ledger knows them too, so whoever starts anew asks it (`Ledger.open_holds`)."""

    def __init__(self, open_holds: Iterable[Transaction] = ()) -> None:
        self._open = {hold.id: hold for hold in open_holds}
        self._due = [(hold.expires_at_ms or 0, hold.id) for hold in self._open.values()]
        heapify(self._due)

    def add(self, transaction: Transaction, verdict: Verdict) -> None:
        """Learn what became of a posting; one that was posted before counts as posted."""
        if verdict.outcome not in (Outcome.POSTED, Outcome.DUPLICATE):
            return
        if transaction.expires_at_ms is not None:
            self._open[transaction.id] = transaction
            heappush(self._due, (transaction.expires_at_ms, transaction.id))
        cause = transaction.cause
        if cause is not None and cause.relation in _ENDING and cause.is_final:
            self._open.pop(cause.transaction_id, None)

    def due(self, watermark_ms: int) -> list[Transaction]:
        """The expiries of all holds that end at or before this time."""
        expired: list[Transaction] = []
        while self._due and self._due[0][0] <= watermark_ms:
            expires_at_ms, id_ = heappop(self._due)
            hold = self._open.pop(id_, None)
            if hold is not None:
                expired.append(expire(hold, expires_at_ms))
        return expired

    def next_ms(self) -> int | None:
        """Return when the next hold ends; None while nothing is open."""
        while self._due and self._due[0][1] not in self._open:
            heappop(self._due)
        return self._due[0][0] if self._due else None

    def __len__(self) -> int:
        return len(self._open)
