"""The simulated provider behind the port, in this process: for tests, and inside the provider's own process.

Every request first passes the faults of the road. `keep` is called after a request may have changed the truth and before it is
answered; what it keeps is what survives.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock
from domain.messages.treasury import BufferCurrency
from domain.simulated.provider import SimulatedProvider
from domain.simulated.provider_faults import Fault, is_down, suffers
from domain.simulated.provider_terms import CancelWanted, Wanted
from domain.treasury.conversion import CancelState, ConversionState, Quote, StatementLine
from domain.venue.account import Refusal

_T = TypeVar("_T")


def _keep_nothing() -> None:
    pass


class InProcessProvider:
    """Implements `connectors.providers.port.Provider` over the pure provider."""

    void_after_ms = 0

    def __init__(self, truth: SimulatedProvider, clock: Clock, keep: Callable[[], None] = _keep_nothing) -> None:
        self.truth = truth
        self.clock = clock
        self.keep = keep

    def convert(self, request: Wanted, expires_at_ms: int) -> ConversionState:
        """Ask for a conversion. Raises `Refused`, `Unknown`."""
        return self._on_the_road(
            request.client_conversion_id, lambda now_ms: self.truth.convert(request, expires_at_ms, now_ms)
        )

    def conversion(self, client_conversion_id: str) -> ConversionState:
        """Look a conversion up. Raises `NotFound`, `Unknown`."""
        return self._answer(lambda now_ms: self.truth.conversion_state(client_conversion_id, now_ms))

    def cancel(self, request: CancelWanted, expires_at_ms: int) -> CancelState:
        """Ask to let go of a conversion. Raises `Refused`, `Unknown`."""
        return self._on_the_road(request.client_cancel_id, lambda now_ms: self.truth.cancel(request, expires_at_ms, now_ms))

    def ask_cancel(self, request: CancelWanted) -> CancelState:
        """Look up what became of such a request. Raises `NotFound`, `Unknown`."""
        return self.cancel_of(request.client_cancel_id)

    def cancel_of(self, client_cancel_id: str) -> CancelState:
        """Look up what became of the request to cancel of this id. Raises `NotFound`, `Unknown`."""
        return self._answer(lambda now_ms: self.truth.cancel_state(client_cancel_id, now_ms))

    def changes(self, after_sequence: int, limit: int) -> Sequence[ConversionState]:
        """Return words with a larger sequence. Raises `Unknown`."""
        return self._answer(lambda now_ms: self.truth.changes_after(after_sequence, limit, now_ms))

    def quote(self, source_currency: BufferCurrency, destination_currency: BufferCurrency, amount: int) -> Quote:
        """Return what an amount would give. Raises `Refused`, `Unknown`."""
        return self._answer(lambda now_ms: self.truth.quote((source_currency, destination_currency), amount, now_ms))

    def statement(self, since_ms: int, until_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved. Raises `Unknown`."""
        return self._answer(lambda now_ms: self.truth.statement(since_ms, until_ms, now_ms))

    def close(self) -> None:
        """Nothing to give back."""

    def _on_the_road(self, client_id: str, carry_out: Callable[[int], _T | Refusal | None]) -> _T:
        """Carry a request out, unless it never arrives, and answer, unless the answer is lost."""
        if self._suffers("request_lost", client_id):
            msg = "the request was lost"
            raise Unknown(msg)
        if not self._suffers("answer_lost", client_id):
            return self._answer(carry_out)
        with suppress(Refused, NotFound):
            self._answer(carry_out)
        msg = "the answer was lost"
        raise Unknown(msg)

    def _answer(self, carry_out: Callable[[int], _T | Refusal | None]) -> _T:
        now_ms = self.clock()
        if is_down(self.truth.faults, self.truth.seed, now_ms):
            msg = "the provider is down"
            raise Unknown(msg)
        answer = carry_out(now_ms)
        self.keep()
        if isinstance(answer, Refusal):
            raise Refused(answer.code, answer.text)
        if answer is None:
            raise NotFound
        return answer

    def _suffers(self, fault: Fault, client_id: str) -> bool:
        return suffers(self.truth.faults, self.truth.seed, fault, client_id)
