"""Reservations and the outbox in memory, by the same rules as the stored ones: for tests, replays and backtests."""

from collections.abc import Callable, Sequence

from domain.execution import WORDS, Change, Request, Row, What
from domain.messages import CollateralTransfer, HedgeOrder
from domain.reservations import Refused, Reserved, Slot, client_id_of, judge, reserved_row, what_of


def stored(row: Row) -> Row:
    """The part of a row that survives a restart."""
    return row._replace(resumed=False, asked_at_ms=None, not_found=0)


class MemoryReservations:
    """Rows by kind and client id, and every change of them; what is not about reserving is the `Outbox`."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._rows: dict[tuple[What, str], Row] = {}
        self._changes: list[Change] = []

    def reserve_order(self, order: HedgeOrder) -> Reserved | Refused:
        """Write an order down, or say why not."""
        return self._reserve(order)

    def reserve_transfer(self, transfer: CollateralTransfer) -> Reserved | Refused:
        """Write a transfer down, or say why not."""
        return self._reserve(transfer)

    def _reserve(self, request: Request) -> Reserved | Refused:
        what = what_of(request)
        existing = self._rows.get((what, client_id_of(request)))
        verdict = judge(request, existing.request if existing else None, self._slot(what, request.venue))
        if isinstance(verdict, Reserved) and not verdict.is_replay:
            row = reserved_row(request, self._clock())
            self._keep(row, row.reserved_at_ms)
        return verdict

    def _slot(self, what: What, venue: str) -> Slot:
        rows = [row for row in self._rows.values() if row.what == what and row.venue == venue]
        taken = next((row.client_id for row in rows if not row.is_final), None)
        finished = max((row for row in rows if row.is_final), key=lambda row: row.sequence, default=None)
        return Slot(taken, finished.client_id if finished else None, finished.sequence if finished else 0)

    def open_rows(self, venue: str) -> Sequence[Row]:
        """The rows of a venue that have not ended."""
        return [row for row in self._rows.values() if row.venue == venue and not row.is_final]

    def row(self, what: What, client_id: str) -> Row | None:
        """One row, whatever its state."""
        return self._rows.get((what, client_id))

    def record(self, row: Row, at_ms: int) -> None:
        """Keep what is now known of a row; the same again changes nothing, and what ended stays ended."""
        before = self._rows[row.what, row.client_id]
        if stored(row) == before or (before.is_final and before.state != WORDS[row.what].never):
            return
        self._keep(stored(row), at_ms)

    def changes(self, venue: str, after_id: int, limit: int) -> Sequence[Change]:
        """The changes of a venue with a larger id, oldest first."""
        return [change for change in self._changes if change.venue == venue and change.id > after_id][:limit]

    def close(self) -> None:
        """Nothing to give back."""

    def _keep(self, row: Row, at_ms: int) -> None:
        self._rows[row.what, row.client_id] = row
        change_id = len(self._changes) + 1
        told = (row.what, row.client_id, row.decision_id, row.venue, row.state, row.filled, row.sequence, row.reason)
        self._changes.append(Change(change_id, *told, at_ms))
