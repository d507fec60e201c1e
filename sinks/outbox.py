"""Requests to the outside as they are written down: reserved before they are sent, followed until they ended.

Reserving and recording take a lock per counterparty for the length of their transaction, and it makes the ids of the changes
of a counterparty grow in the order of their commits, so that whoever reads them with a cursor misses none. Reserving takes
one per slot as well, after it, which makes the look at the slot and the insert one step.

Reservations are made in the flow's thread and worked on in the gateway's: each of them has its own instance, because an
instance is one connection and a connection is one transaction at a time.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from domain.outbox.kinds import KINDS, kind_of
from domain.outbox.lifecycle import DEFAULT_POLICY, Change, ExecutionPolicy, Kind, Request, Row
from domain.outbox.slots import FREE, Refused, Reserved, Slot, judge
from domain.times import datetime_of, ms_of
from sinks.postgres import connect

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('treasury.request ' || %s, 0))"

TELL = """
INSERT INTO treasury.request_change
    (kind, client_id, decision_id, counterparty, state, filled, sequence, reason, changed_at)
SELECT kind, client_id, decision_id, counterparty, state, filled, sequence, reason, %(at)s FROM changed
"""
INSERT = f"""
WITH changed AS (
    INSERT INTO treasury.request (kind, client_id, counterparty, body, slot, state, stage, reserved_at)
    VALUES (%(kind)s, %(client_id)s, %(counterparty)s, %(body)s, %(slot)s, %(state)s, %(stage)s, %(at)s)
    RETURNING *
) {TELL}"""  # noqa: S608 - both parts stand here
UPDATE = f"""
WITH changed AS (
    UPDATE treasury.request SET state = %(state)s, stage = %(stage)s, filled = %(filled)s, sequence = %(sequence)s,
        reason = %(reason)s, sent_at = %(sent_at)s, finished_at = %(finished_at)s
    WHERE kind = %(kind)s AND client_id = %(client_id)s
        AND (finished_at IS NULL OR (stage = 'never_arrived' AND %(stage)s = 'ended'))
        AND (state, filled, sequence, reason, sent_at)
            IS DISTINCT FROM (%(state)s, %(filled)s, %(sequence)s, %(reason)s, %(sent_at)s)
    RETURNING *
) {TELL}"""  # noqa: S608

SLOT = """
SELECT
    (SELECT client_id FROM treasury.request WHERE slot = %(slot)s AND finished_at IS NULL),
    (SELECT client_id FROM treasury.request WHERE kind = %(kind)s AND decision_id = %(decision_id)s AND slot IS NOT NULL),
    ended.client_id, coalesce(ended.sequence, 0)
FROM (VALUES (1)) AS one LEFT JOIN LATERAL (
    SELECT client_id, sequence FROM treasury.request WHERE slot = %(slot)s AND finished_at IS NOT NULL
    ORDER BY sequence DESC, client_id DESC LIMIT 1
) AS ended ON true
"""
ROW = "SELECT kind, body::text, state, reserved_at, sent_at, filled, sequence, reason FROM treasury.request"
OPEN = f"{ROW} WHERE counterparty = %s AND finished_at IS NULL ORDER BY reserved_at, kind, client_id"
ONE = f"{ROW} WHERE kind = %s AND client_id = %s"
CHANGES = """
SELECT id, kind, client_id, decision_id, counterparty, state, filled, sequence, reason, changed_at
FROM treasury.request_change WHERE counterparty = %s AND id > %s ORDER BY id LIMIT %s
"""
CHANNEL = '"treasury.request"'
"""Where the database says at which counterparty something was reserved."""


class PostgresOutbox:
    """The stored rows: `Reservations` for who reserves, `Outbox` for who works them. A call is committed when it returns."""

    def __init__(self, dsn: str, clock: Callable[[], int], policy: ExecutionPolicy = DEFAULT_POLICY) -> None:
        self._clock = clock
        self._policy = policy
        self._connection = connect(dsn, "executor", "outbox")
        self._listens = False

    def reserve(self, request: Request) -> Reserved | Refused:
        """Write a request down, or say why not (`domain.outbox.slots.judge`)."""
        kind = kind_of(request)
        with self._connection.transaction():
            slot = self._locked_slot(kind, request)
            existing = self.row(kind, kind.client_id_of(request))
            # The clock is read last: a lock may have had to be waited for.
            now_ms, age_max_ms = self._clock(), self._policy.decision_age_max_ms
            verdict = judge(request, existing.request if existing else None, slot, now_ms, age_max_ms)
            if isinstance(verdict, Reserved) and not verdict.is_replay:
                self._connection.execute(INSERT, _parameters(Row(kind, request, "reserved", now_ms), now_ms))
        return verdict

    def _locked_slot(self, kind: Kind, request: Request) -> Slot:
        self._connection.execute(LOCK, [kind.counterparty_of(request)])
        slot = kind.slot_of(request)
        if slot is None:
            return FREE
        self._connection.execute(LOCK, [slot])
        asked = {"slot": slot, "kind": kind.name, "decision_id": request.decision_id}
        found = self._connection.execute(SLOT, asked).fetchone()
        return Slot(*found) if found else FREE

    def open_rows(self, counterparty: str) -> Sequence[Row]:
        """Return the rows of a counterparty that have not ended, the one that was reserved first before the others."""
        return [_row(found) for found in self._connection.execute(OPEN, [counterparty])]

    def row(self, kind: Kind, client_id: str) -> Row | None:
        """Return one row, whatever its state."""
        found = self._connection.execute(ONE, [kind.name, client_id]).fetchone()
        return _row(found) if found else None

    def record(self, row: Row, at_ms: int) -> None:
        """Store what is now known of a row; the same again changes nothing, and neither does what may not follow."""
        with self._connection.transaction():
            self._connection.execute(LOCK, [row.counterparty])
            self._connection.execute(UPDATE, _parameters(row, at_ms))

    def changes(self, counterparty: str, after_id: int, limit: int) -> Sequence[Change]:
        """Return the changes of a counterparty with a larger id, in the order in which they were committed."""
        return [_change(found) for found in self._connection.execute(CHANGES, [counterparty, after_id, limit])]

    def wait(self, counterparty: str, seconds: float) -> None:
        """Return when something was reserved there, after so many seconds at the latest."""
        if not self._listens:
            self._connection.execute(f"LISTEN {CHANNEL}")
            self._listens = True
        for said in self._connection.notifies(timeout=seconds):
            if said.payload == counterparty:
                return

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()


def _parameters(row: Row, at_ms: int) -> dict[str, Any]:
    return {
        "kind": row.kind.name,
        "client_id": row.client_id,
        "counterparty": row.counterparty,
        "body": row.request.model_dump_json(),
        "slot": row.kind.slot_of(row.request),
        "state": row.state,
        "stage": row.stage,
        "filled": row.filled,
        "sequence": row.sequence,
        "reason": row.reason,
        "sent_at": _at(row.sent_at_ms),
        "finished_at": _at(at_ms) if row.is_final else None,
        "at": _at(at_ms),
    }


def _row(found: tuple[Any, ...]) -> Row:
    name, body, state, reserved_at, sent_at, filled, sequence, reason = found
    kind = KINDS[name]
    sent_at_ms = None if sent_at is None else ms_of(sent_at)
    request = kind.model.model_validate_json(body)
    return Row(kind, request, state, ms_of(reserved_at), sent_at_ms, int(filled), sequence, reason)


def _change(found: tuple[Any, ...]) -> Change:
    change_id, name, client_id, decision_id, counterparty, state, filled, sequence, reason, at = found
    told = (client_id, decision_id, counterparty, state, int(filled), sequence, reason)
    return Change(change_id, KINDS[name], *told, ms_of(at))


def _at(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime_of(at_ms)
