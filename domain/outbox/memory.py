"""Reservations and the outbox in memory, by the same rules as the stored ones: for tests, replays and backtests."""

from collections.abc import Callable, Sequence

from domain.outbox.kinds import kind_of
from domain.outbox.lifecycle import DEFAULT_POLICY, Change, ExecutionPolicy, Kind, Request, Row
from domain.outbox.slots import FREE, Refused, Reserved, Slot, judge


def stored(row: Row) -> Row:
    """Return the part of a row that survives a restart."""
    return row._replace(resumed=False, asked_at_ms=None, not_found=0)


class MemoryReservations:
    """Rows by kind and client id, and every change of them; what is not about reserving is the `Outbox`."""

    def __init__(self, clock: Callable[[], int], policy: ExecutionPolicy = DEFAULT_POLICY) -> None:
        self._clock = clock
        self._policy = policy
        self._rows: dict[tuple[str, str], Row] = {}
        self._changes: list[Change] = []

    def reserve(self, request: Request) -> Reserved | Refused:
        """Write a request down, or say why not."""
        kind, now_ms = kind_of(request), self._clock()
        existing = self.row(kind, kind.client_id_of(request))
        slot, age_max_ms = self._slot(kind, request), self._policy.decision_age_max_ms
        verdict = judge(request, existing.request if existing else None, slot, now_ms, age_max_ms)
        if isinstance(verdict, Reserved) and not verdict.is_replay:
            self._keep(Row(kind, request, "reserved", now_ms), now_ms)
        return verdict

    def _slot(self, kind: Kind, request: Request) -> Slot:
        name = kind.slot_of(request)
        if name is None:
            return FREE
        of_kind = [row for row in self._rows.values() if row.kind is kind]
        in_slot = [row for row in of_kind if kind.slot_of(row.request) == name]
        taken = next((row.client_id for row in in_slot if not row.is_final), None)
        decided = next((row.client_id for row in of_kind if row.request.decision_id == request.decision_id), None)
        ends = [(row.sequence, row.client_id) for row in in_slot if row.is_final]
        sequence, finished = max(ends, default=(0, None))
        return Slot(taken, decided, finished, sequence)

    def open_rows(self, counterparty: str) -> Sequence[Row]:
        """Return the rows of a counterparty that have not ended."""
        rows = [row for row in self._rows.values() if row.counterparty == counterparty and not row.is_final]
        return sorted(rows, key=lambda row: (row.reserved_at_ms, row.kind.name, row.client_id))

    def row(self, kind: Kind, client_id: str) -> Row | None:
        """Return one row, whatever its state."""
        return self._rows.get((kind.name, client_id))

    def record(self, row: Row, at_ms: int) -> None:
        """Keep what is now known of a row; the same again changes nothing, and neither does what may not follow."""
        before = self._rows[row.kind.name, row.client_id]
        if stored(row) != before and before.may_become(row):
            self._keep(stored(row), at_ms)

    def changes(self, counterparty: str, after_id: int, limit: int) -> Sequence[Change]:
        """Return the changes of a counterparty with a larger id, oldest first."""
        return [change for change in self._changes[after_id:] if change.counterparty == counterparty][:limit]

    def wait(self, counterparty: str, seconds: float) -> None:
        """There is no clock to wait by; whoever asks again finds what was reserved."""

    def close(self) -> None:
        """Nothing to give back."""

    def _keep(self, row: Row, at_ms: int) -> None:
        self._rows[row.kind.name, row.client_id] = row
        told = (row.kind, row.client_id, row.request.decision_id, row.counterparty, row.state, row.filled)
        self._changes.append(Change(len(self._changes) + 1, *told, row.sequence, row.reason, at_ms))
