"""Reserves orders and transfers before anything is sent, and says which were refused.

A reservation is a committed row: at most one open order and one open transfer per venue account, by a partial unique index.
The gateway to the exchange sends what is reserved and nothing else, so an order can be repeated here as often as a crash
wants: the same id is reserved once. A refusal is an answer like any other; whoever decided hears it and decides again.
What is reserved is told by the gateway, from the record of all state changes, so that it can never be told after its end.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.messages import CollateralTransfer, HedgeOrder, OrderReport, TransferReport
from domain.reservations import Refused, Reserved
from domain.streams import Progress, Record
from operators.machines import Answers, as_progress


class Reservations(Protocol):
    """The part of the reservation store that this step needs."""

    def reserve_order(self, order: HedgeOrder) -> Reserved | Refused:
        """Reserve, or say why not; committed when it returns."""
        ...

    def reserve_transfer(self, transfer: CollateralTransfer) -> Reserved | Refused:
        """Reserve, or say why not; committed when it returns."""
        ...


class ReservingLogic(StatefulBatchLogic[Progress, Answers, int]):
    """The orders and transfers of one venue account, in the order in which they were decided."""

    def __init__(self, reservations: Reservations, next_offset: int) -> None:
        self._reservations = reservations
        self._next_offset = next_offset

    def on_batch(self, values: list[Progress]) -> tuple[Iterable[Answers], bool]:
        """Reserve what is asked for, each in a transaction of its own."""
        wanted = [record for progress in values for record in progress.records if is_wanted(record)]
        refused = [(record.at_ms, report) for record in wanted if (report := self._reserve(record)) is not None]
        said = Answers(values[-1].watermark_ms, self._next_offset, refused)
        self._next_offset += len(refused)
        return [said] if refused else [], False

    def _reserve(self, record: Record) -> OrderReport | TransferReport | None:
        wanted = record.value
        is_order = isinstance(wanted, HedgeOrder)
        answer = self._reservations.reserve_order(wanted) if is_order else self._reservations.reserve_transfer(wanted)
        return refusal(wanted, answer.reason, record.at_ms) if isinstance(answer, Refused) else None

    def snapshot(self) -> int:
        return self._next_offset


def is_wanted(record: Record) -> bool:
    """Whether a record asks for something to be reserved."""
    return isinstance(record.value, HedgeOrder | CollateralTransfer)


def refusal(wanted: HedgeOrder | CollateralTransfer, reason: str, at_ms: int) -> OrderReport | TransferReport:
    """The report that an order or transfer was refused a slot."""
    common: dict[str, Any] = {"venue": wanted.venue, "decision_id": wanted.decision_id, "state": "refused"}
    common |= {"reason": reason[:256], "as_of": at_ms}
    if isinstance(wanted, HedgeOrder):
        return OrderReport(client_order_id=wanted.client_order_id, **common)
    return TransferReport(client_transfer_id=wanted.client_transfer_id, **common)


@operator
def reserve(step_id: str, up: KeyedStream[Progress], open_reservations: Callable[[], Reservations]) -> KeyedStream[Progress]:
    """Out come OrderReport and TransferReport messages, one per order or transfer that was refused."""
    logic = op.stateful_batch("slot", up, lambda resume: ReservingLogic(open_reservations(), resume or 0))
    return as_progress("progress", logic, "reserve")
