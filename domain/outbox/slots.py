"""Who may have a row: the rule of reservation.

What was decided on facts that are old by now gets none. Of a kind that takes slots one request is under way in a slot at any
time, and the next one has to know how the last one ended. The same request again, as a replay sends it, gets the row that it
had; this and the sequence it was decided on make deciding again after a crash harmless.
"""

from typing import NamedTuple, Protocol

from domain.outbox.kinds import kind_of
from domain.outbox.lifecycle import Request, too_old


class Reserved(NamedTuple):
    """The request has its row; `is_replay` when it had it before."""

    client_id: str
    is_replay: bool


class Refused(NamedTuple):
    """The request gets no row and will not be sent."""

    reason: str


STANDS = "stands for another request"
"""Why a request is refused whose id has a row already: what was first asked for under it is out, and this one is not."""


class Slot(NamedTuple):
    """What stands in the way of a reservation, by client ids: the row that is open in the slot, the newest word about one
    that ended there, and the row that the same decision has asked for already."""

    open_client_id: str | None = None
    decided_client_id: str | None = None
    finished_client_id: str | None = None
    finished_sequence: int = 0


FREE = Slot()


class Reservations(Protocol):
    """The store of reservations, as the one who reserves sees it."""

    def reserve(self, request: Request) -> Reserved | Refused:
        """Write a request down, or say why not (see `judge`); committed when it returns."""
        ...


def judge(request: Request, existing: Request | None, slot: Slot, now_ms: int, age_max_ms: int) -> Reserved | Refused:
    """Return whether a request may have a row now, in epoch milliseconds of the wall clock.

    `existing` is the request that has its client id already, if there is one: the same again is a replay.
    """
    client_id = kind_of(request).client_id_of(request)
    if existing is not None:
        return Reserved(client_id, True) if existing == request else Refused(f"{client_id} {STANDS}")
    reason = too_old(request.as_of, now_ms, age_max_ms) or _in_the_way(request, slot)
    return Refused(reason) if reason else Reserved(client_id, False)


def _in_the_way(request: Request, slot: Slot) -> str | None:
    """A decision on facts from before the last end does not know what that one did, as when it is taken again after a crash."""
    if slot.open_client_id:
        return f"slot taken by {slot.open_client_id}"
    if slot.decided_client_id:
        return f"decision {request.decision_id} has asked for {slot.decided_client_id} already"
    if request.based_on_sequence < slot.finished_sequence:
        return f"decided on a {kind_of(request).fact} that does not cover {slot.finished_client_id}"
    return None
