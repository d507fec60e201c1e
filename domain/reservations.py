"""Who may have a row: the rule of reservation.

At most one order and one transfer are under way at a venue at any time, and a request has to know how the last one
ended. The same request again, as a replay sends it, gets the row that it had; this and the sequence it was decided on
make deciding again after a crash harmless.
"""

from typing import NamedTuple

from domain.execution import Request, Row, What
from domain.messages import HedgeOrder


class Reserved(NamedTuple):
    """The request has its row; `is_replay` when it had it before."""

    client_id: str
    is_replay: bool


class Refused(NamedTuple):
    """The request gets no row and will not be sent."""

    reason: str


class Slot(NamedTuple):
    """What stands in the way of a reservation at a venue: the open row, and the newest word about a finished one."""

    open_client_id: str | None
    finished_client_id: str | None
    finished_sequence: int


def judge(request: Request, existing: Request | None, slot: Slot) -> Reserved | Refused:
    """Whether a request may have a row. The same request again is a replay and gets the row that it had.

    At most one order and one transfer are under way at a venue. A decision that was taken on facts older than the end
    of the last one does not know what that one did, as happens when decisions are taken again after a crash.
    """
    client_id = client_id_of(request)
    if existing is not None:
        return Reserved(client_id, True) if existing == request else Refused(f"{client_id} stands for another request")
    if slot.open_client_id:
        return Refused(f"slot taken by {slot.open_client_id}")
    if request.based_on_sequence < slot.finished_sequence:
        what = "position" if isinstance(request, HedgeOrder) else "balance"
        return Refused(f"decided on a {what} that does not cover {slot.finished_client_id}")
    return Reserved(client_id, False)


def client_id_of(request: Request) -> str:
    """Our own id of a request at the exchange."""
    return request.client_order_id if isinstance(request, HedgeOrder) else request.client_transfer_id


def what_of(request: Request) -> What:
    """Whether a request is an order or a transfer."""
    return "order" if isinstance(request, HedgeOrder) else "transfer"


def reserved_row(request: Request, at_ms: int) -> Row:
    """The first state of a request."""
    return Row(what_of(request), client_id_of(request), request.decision_id, request.venue, request, "reserved", at_ms)
