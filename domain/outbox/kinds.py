"""Every kind of request that is made to the outside. A new kind is a row here, and its messages; SQL learns it from here.

`ballast migrate` writes the states of all kinds to `treasury.request_state`, to which the stored requests refer.
"""

from typing import NamedTuple, TypeGuard

from domain.messages.fields import Message
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.provider import CancelReport, ConversionReport
from domain.messages.treasury import ConversionCancel, ConversionRequest
from domain.messages.venue import OrderReport, TransferReport
from domain.outbox.lifecycle import REFUSED, Change, Kind, Request, Stage

REASON_LENGTH_MAX = 256

ORDER = Kind(
    name="order",
    model=HedgeOrder,
    report=OrderReport,
    client_id="client_order_id",
    counterparty="venue",
    answers={
        "open": "under_way",
        "filled": "ended",
        "canceled": "ended",
        "rejected": "ended",
        "not_placed": "never_arrived",
    },
    done="filled",
    refused="rejected",
    filled="filled_contracts",
    slot_by="venue",
    fact="position",
)
TRANSFER = Kind(
    name="transfer",
    model=CollateralTransfer,
    report=TransferReport,
    client_id="client_transfer_id",
    counterparty="venue",
    answers={"pending": "under_way", "done": "ended", "failed": "ended", "not_sent": "never_arrived"},
    done="done",
    refused="failed",
    slot_by="venue",
    fact="balance",
)
CONVERSION = Kind(
    name="conversion",
    model=ConversionRequest,
    report=ConversionReport,
    client_id="client_conversion_id",
    counterparty="provider",
    answers={
        "processing": "under_way",
        "completed": "ended",
        "failed": "ended",
        "cancelled": "ended",
        "not_sent": "never_arrived",
    },
    done="completed",
    refused="failed",
)
CANCEL = Kind(
    name="cancel",
    model=ConversionCancel,
    report=CancelReport,
    client_id="client_cancel_id",
    counterparty="provider",
    answers={"pending": "under_way", "accepted": "ended", "too_late": "ended", "not_sent": "never_arrived"},
    done="accepted",
    refused="too_late",
)
KINDS: dict[str, Kind] = {kind.name: kind for kind in (ORDER, TRANSFER, CONVERSION, CANCEL)}


def is_request(value: object) -> TypeGuard[Request]:
    """Return whether a value asks the outside for something."""
    return any(type(value) is kind.model for kind in KINDS.values())


def kind_of(request: Request) -> Kind:
    """Return the kind of a request; LookupError when its message is of none."""
    return {kind.model: kind for kind in KINDS.values()}[type(request)]


class State(NamedTuple):
    """A state as SQL knows it; a kind that takes a slot does so in all of its states."""

    kind: str
    state: str
    stage: Stage
    takes_slot: bool


def states() -> set[State]:
    """Return the states of all kinds."""
    return {
        State(kind.name, state, stage, kind.slot_by is not None)
        for kind in KINDS.values()
        for state, stage in kind.stages.items()
    }


def report_of(change: Change) -> Message:
    """Return the report of a change; a reason that is too long for it is cut."""
    kind = change.kind
    said = {
        kind.counterparty: change.counterparty,
        kind.client_id: change.client_id,
        "decision_id": change.decision_id,
        "state": change.state,
        "reason": change.reason[:REASON_LENGTH_MAX] if change.reason else None,
        "sequence": change.sequence,
        "as_of": change.at_ms,
    }
    return kind.report.model_validate(said | ({kind.filled: change.filled} if kind.filled else {}))


def refusal_of(request: Request, reason: str, at_ms: int) -> Message:
    """Return the report of a request that got no row."""
    kind = kind_of(request)
    client_id, counterparty = kind.client_id_of(request), kind.counterparty_of(request)
    return report_of(Change(0, kind, client_id, request.decision_id, counterparty, REFUSED, 0, 0, reason, at_ms))
