"""The simulated exchange behind the port, in this process: for tests and backtests, and inside the exchange's own
process.

Every request first passes the faults of the road. `keep` is called after a request has changed the truth and before
it is answered; what it keeps is what survives.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.simulated.exchange import SimulatedExchange
from domain.simulated.faults import Faults, fault_of
from domain.venue.account import AccountEvent, Balances, OrderState, Position, Refusal, TransferState

_NO_FAULTS = Faults()
_T = TypeVar("_T")


def _keep_nothing() -> None:
    pass


class InProcessExchange:
    """Implements `connectors.venue.port.Exchange` over the pure exchange."""

    def __init__(
        self,
        truth: SimulatedExchange,
        clock: Clock,
        faults: Faults = _NO_FAULTS,
        keep: Callable[[], None] = _keep_nothing,
    ) -> None:
        self.truth = truth
        self.faults = faults
        self.requests = 0
        self._clock = clock
        self._keep = keep
        self._late: list[tuple[int, Callable[[int], object]]] = []

    def place(self, order: HedgeOrder, expires_at_ms: int) -> OrderState:
        """Place an order. Raises `Refused`, `Unknown`."""
        return self.carry_out(
            lambda now_ms: self.truth.place(order.client_order_id, order.action, order.contracts, expires_at_ms, now_ms)
        )

    def order(self, client_order_id: str) -> OrderState:
        """Look an order up. Raises `NotFound`, `Unknown`."""
        return self.carry_out(lambda now_ms: self.truth.order_state(client_order_id, now_ms))

    def transfer(self, transfer: CollateralTransfer, expires_at_ms: int) -> TransferState:
        """Ask for a transfer. Raises `Refused`, `Unknown`."""
        client_id, kind, amount_sats = transfer.client_transfer_id, transfer.kind, transfer.amount_sats
        return self.carry_out(lambda now_ms: self.truth.transfer(client_id, kind, amount_sats, expires_at_ms, now_ms))

    def transfer_state(self, client_transfer_id: str) -> TransferState:
        """Look a transfer up. Raises `NotFound`, `Unknown`."""
        return self.carry_out(lambda now_ms: self.truth.transfer_state(client_transfer_id, now_ms))

    def position(self) -> Position:
        """The net position. Raises `Unknown`."""
        return self.carry_out(self.truth.position)

    def balances(self) -> Balances:
        """Both pockets. Raises `Unknown`."""
        return self.carry_out(self.truth.balances)

    def events(self, after_sequence: int, limit: int) -> Sequence[AccountEvent]:
        """Events of the account. Raises `Unknown`."""
        return self.carry_out(lambda now_ms: self.truth.events_after(after_sequence, limit, now_ms))

    def close(self) -> None:
        """Nothing to give back."""

    def carry_out(self, request: Callable[[int], _T | Refusal | None]) -> _T:
        """Put one request through the faults of the road; it is given the time. Raises all that the port may raise."""
        now_ms = self._clock()
        self._deliver_late(now_ms)
        self.requests += 1
        fault = fault_of(self.faults, self.truth.seed, self.requests)
        if fault == "late":
            self._late.append((now_ms + self.faults.late_ms, request))
        if fault in ("late", "lost_before"):
            raise Unknown(fault)
        answer = request(now_ms)
        self._keep()
        if fault == "lost_after":
            raise Unknown(fault)
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.text)
        if answer is None:
            raise NotFound
        return answer

    def _deliver_late(self, now_ms: int) -> None:
        due = [late for late in self._late if late[0] <= now_ms]
        self._late = [late for late in self._late if late[0] > now_ms]
        for at_ms, request in due:
            request(at_ms)
