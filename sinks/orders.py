"""Orders and transfers as they are written down: reserved before they are sent, followed until they ended.

Reserving and recording take a lock per venue for the length of their transaction. It makes the look at the last end and
the insert one step, and it makes the ids of the state changes of a venue grow in the order of their commits, so that
whoever reads them with a cursor misses none.

Reservations are made in the flow's thread and worked on in the gateway's: each of them has its own instance, because an
instance is one connection and a connection is one transaction at a time.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.rows import dict_row

from domain.execution import WORDS, Change, Request, Row, What
from domain.messages import CollateralTransfer, HedgeOrder
from domain.reservations import Refused, Reserved, Slot, client_id_of, judge, reserved_row, what_of
from sinks.connecting import connect
from sinks.order_statements import CHANGES, LOCK, NOTE, STATEMENTS

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else _EPOCH + timedelta(milliseconds=at_ms)


def _ms(at: datetime | None) -> int | None:
    return None if at is None else (at - _EPOCH) // timedelta(milliseconds=1)


class Reservations:
    """The stored rows; implements `domain.execution.Outbox`. Every call is committed when it returns."""

    def __init__(self, dsn: str, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._connection = connect(dsn, "executor", "orders", dict_row)

    def reserve_order(self, order: HedgeOrder) -> Reserved | Refused:
        """Write an order down, or say why not (`domain.reservations.judge`)."""
        return self._reserve(order)

    def reserve_transfer(self, transfer: CollateralTransfer) -> Reserved | Refused:
        """Write a transfer down, or say why not."""
        return self._reserve(transfer)

    def _reserve(self, request: Request) -> Reserved | Refused:
        what = what_of(request)
        with self._connection.transaction():
            self._connection.execute(LOCK, [request.venue])
            existing = self.row(what, client_id_of(request))
            verdict = judge(request, existing.request if existing else None, self._slot(what, request.venue))
            if isinstance(verdict, Reserved) and not verdict.is_replay:
                row = reserved_row(request, self._clock())
                self._connection.execute(STATEMENTS[what].insert, _columns(row))
                self._note(row, row.reserved_at_ms)
        return verdict

    def _slot(self, what: What, venue: str) -> Slot:
        found = self._connection.execute(STATEMENTS[what].slot, {"venue": venue}).fetchone() or {}
        return Slot(found["open_id"], found["finished_id"], found["finished_sequence"] or 0)

    def open_rows(self, venue: str) -> Sequence[Row]:
        """The rows of a venue that have not ended: at most one order and one transfer."""
        return [
            _row(what, found)
            for what in WORDS
            for found in self._connection.execute(STATEMENTS[what].open, [venue]).fetchall()
        ]

    def row(self, what: What, client_id: str) -> Row | None:
        """One row, whatever its state."""
        found = self._connection.execute(STATEMENTS[what].one, [client_id]).fetchone()
        return _row(what, found) if found else None

    def record(self, row: Row, at_ms: int) -> None:
        """Store what is now known of a row; the same again changes nothing, and what ended stays as it ended."""
        with self._connection.transaction():
            self._connection.execute(LOCK, [row.venue])
            columns = _columns(row) | {"finished_at": _at(at_ms) if row.is_final else None}
            if self._connection.execute(STATEMENTS[row.what].update, columns).rowcount:
                self._note(row, at_ms)

    def _note(self, row: Row, at_ms: int) -> None:
        self._connection.execute(NOTE, _columns(row) | {"what": row.what, "changed_at": _at(at_ms)})

    def changes(self, venue: str, after_id: int, limit: int) -> Sequence[Change]:
        """The changes of a venue with a larger id, in the order in which they were committed."""
        return [_change(found) for found in self._connection.execute(CHANGES, [venue, after_id, limit]).fetchall()]

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _columns(row: Row) -> dict[str, Any]:
    request = row.request
    columns: dict[str, Any] = {
        "client_id": row.client_id,
        "decision_id": row.decision_id,
        "venue": row.venue,
        "based_on_sequence": request.based_on_sequence,
        "as_of": _at(request.as_of),
        "state": row.state,
        "filled": row.filled,
        "venue_sequence": row.sequence,
        "reason": row.reason,
        "reserved_at": _at(row.reserved_at_ms),
        "sent_at": _at(row.sent_at_ms),
    }
    if isinstance(request, HedgeOrder):
        return columns | request.model_dump(include={"instrument", "action", "contracts"})
    return columns | request.model_dump(include={"kind", "amount_sats"})


def _request(what: What, found: dict[str, Any]) -> Request:
    common = {
        "decision_id": found["decision_id"],
        "venue": found["venue"],
        "based_on_sequence": found["based_on_sequence"],
        "as_of": _ms(found["as_of"]),
    }
    if what == "order":
        own = {"instrument": found["instrument"], "action": found["action"], "contracts": int(found["contracts"])}
        return HedgeOrder(client_order_id=found["client_id"], **own, **common)
    return CollateralTransfer(
        client_transfer_id=found["client_id"], kind=found["kind"], amount_sats=int(found["amount_sats"]), **common
    )


def _row(what: What, found: dict[str, Any]) -> Row:
    return Row(
        what=what,
        client_id=found["client_id"],
        decision_id=found["decision_id"],
        venue=found["venue"],
        request=_request(what, found),
        state=found["state"],
        reserved_at_ms=_ms(found["reserved_at"]) or 0,
        sent_at_ms=_ms(found["sent_at"]),
        filled=int(found["filled"]),
        sequence=found["venue_sequence"],
        reason=found["reason"],
    )


def _change(found: dict[str, Any]) -> Change:
    return Change(
        id=found["id"],
        what=found["what"],
        client_id=found["client_id"],
        decision_id=found["decision_id"],
        venue=found["venue"],
        state=found["state"],
        filled=int(found["filled"]),
        sequence=found["venue_sequence"],
        reason=found["reason"],
        at_ms=_ms(found["changed_at"]) or 0,
    )
