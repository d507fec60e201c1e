"""Reserves orders and transfers before anything is sent, and says what became of each.

A reservation is a committed row: at most one open order and one open transfer per venue account, by a partial unique index.
The gateway to the exchange sends what is reserved and nothing else, so an order can be repeated here as often as a crash
wants: the same id is reserved once. A refusal is an answer like any other; whoever decided hears it and decides again.
"""

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.reservations import Refused, Reserved
from domain.messages import CollateralTransfer, HedgeOrder, OrderReport, TransferReport
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
        answers = [(r.at_ms, self._reserve(r)) for progress in values for r in progress.records if is_wanted(r)]
        said = Answers(values[-1].watermark_ms, self._next_offset, answers)
        self._next_offset += len(answers)
        return [said] if answers else [], False

    def _reserve(self, record: Record) -> OrderReport | TransferReport:
        wanted = record.value
        if isinstance(wanted, HedgeOrder):
            state, reason = _state(self._reservations.reserve_order(wanted))
            return OrderReport(
                venue=wanted.venue,
                client_order_id=wanted.client_order_id,
                decision_id=wanted.decision_id,
                state=state,
                reason=reason,
                as_of=record.at_ms,
            )
        state, reason = _state(self._reservations.reserve_transfer(wanted))
        return TransferReport(
            venue=wanted.venue,
            client_transfer_id=wanted.client_transfer_id,
            decision_id=wanted.decision_id,
            state=state,
            reason=reason,
            as_of=record.at_ms,
        )

    def snapshot(self) -> int:
        return self._next_offset


def is_wanted(record: Record) -> bool:
    """Whether a record asks for something to be reserved."""
    return isinstance(record.value, HedgeOrder | CollateralTransfer)


def _state(answer: Reserved | Refused) -> tuple[Any, str | None]:
    return ("refused", answer.reason[:256]) if isinstance(answer, Refused) else ("reserved", None)


@operator
def reserve(
    step_id: str, up: KeyedStream[Progress], open_reservations: Callable[[], Reservations]
) -> KeyedStream[Progress]:
    """Out come OrderReport and TransferReport messages, one per order or transfer."""
    logic = op.stateful_batch("slot", up, lambda resume: ReservingLogic(open_reservations(), resume or 0))
    return as_progress("progress", logic, "reserve")
