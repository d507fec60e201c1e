"""A provider of kind http: our own dialect, which the simulated provider speaks, and whoever wants to be asked by us can.

Every request is signed (`connectors.providers.signing`). The idempotency key of a request is our own id of it. Amounts are
integers in minor units, and a word about a conversion has the fields of `ConversionState`.
"""

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from pydantic import TypeAdapter

from connectors.clock import Clock, now_ms
from connectors.providers.calls import Calls, understood
from connectors.providers.port import Unreadable
from connectors.providers.signing import KEY, NONCE, SIGNATURE, TIMESTAMP, request_signature
from domain.messages.treasury import BufferCurrency, ConversionCancel, ConversionRequest
from domain.treasury.conversion import CancelState, ConversionState, Quote, StatementLine

CONVERSION_FIELDS = {
    "client_conversion_id",
    "source",
    "destination",
    "source_currency",
    "destination_currency",
    "amount",
}
_LINES = TypeAdapter(list[StatementLine])


class HttpProvider:
    """Implements `connectors.providers.port.Provider`."""

    void_after_ms = 0

    def __init__(
        self,
        base_url: str,
        key: str,
        secret: str,
        timeout_seconds: float = 5.0,
        clock: Clock = now_ms,
        nonce: Callable[[], str] = lambda: token_hex(16),
    ) -> None:
        self._key, self._secret = key, secret
        self._clock = clock
        self._nonce = nonce
        self._calls = Calls(base_url, timeout_seconds, self._signed, lambda body: (str(body["code"]), str(body["text"])))

    def convert(self, request: ConversionRequest, expires_at_ms: int) -> ConversionState:
        """Ask for a conversion. Raises `Refused`, `Unknown`."""
        body = request.model_dump(include=CONVERSION_FIELDS) | {"expires_at_ms": expires_at_ms}
        key = {"Idempotency-Key": request.client_conversion_id}
        return state_from(self._calls.post("/conversions", body, key), request.client_conversion_id)

    def conversion(self, client_conversion_id: str) -> ConversionState:
        """Look a conversion up. Raises `NotFound`, `Unknown`."""
        return state_from(self._calls.get(f"/conversions/{quote(client_conversion_id, safe='')}"), client_conversion_id)

    def cancel(self, request: ConversionCancel, expires_at_ms: int) -> CancelState:
        """Ask to let go of a conversion. Raises `Refused`, `Unknown`."""
        body = request.model_dump(include={"client_cancel_id", "client_conversion_id"}) | {"expires_at_ms": expires_at_ms}
        said = self._calls.post("/cancels", body, {"Idempotency-Key": request.client_cancel_id})
        with understood():
            return CancelState.model_validate(said)

    def ask_cancel(self, request: ConversionCancel) -> CancelState:
        """Look up what became of such a request. Raises `NotFound`, `Unknown`."""
        said = self._calls.get(f"/cancels/{quote(request.client_cancel_id, safe='')}")
        with understood():
            return CancelState.model_validate(said)

    def changes(self, after_sequence: int, limit: int) -> Sequence[ConversionState | Unreadable]:
        """Return words with a larger sequence. Raises `Unknown`."""
        said = self._calls.get("/changes", after=after_sequence, limit=limit)
        with understood():
            return [_word(one) for one in said]

    def quote(self, source_currency: BufferCurrency, destination_currency: BufferCurrency, amount: int) -> Quote:
        """Return what an amount would give. Raises `Refused`, `Unknown`."""
        said = self._calls.get(
            "/quote", source_currency=source_currency, destination_currency=destination_currency, amount=amount
        )
        with understood():
            return Quote.model_validate(said)

    def statement(self, since_ms: int, until_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved. Raises `Unknown`."""
        said = self._calls.get("/statement", since_ms=since_ms, until_ms=until_ms)
        with understood():
            return _LINES.validate_python(said)

    def close(self) -> None:
        """Close the connection."""
        self._calls.close()

    def _signed(self, method: str, target: str, body: bytes) -> dict[str, str]:
        timestamp, nonce = str(self._clock() // 1000), self._nonce()
        signature = request_signature(self._secret, method, target, timestamp, nonce, body)
        return {KEY: self._key, TIMESTAMP: timestamp, NONCE: nonce, SIGNATURE: signature}


def state_from(said: Any, client_conversion_id: str) -> ConversionState:
    """Return the state that was said about a conversion. Raises `Unknown` where it is not understood, or about another one."""
    with understood():
        state = ConversionState.model_validate(said)
        if state.client_conversion_id != client_conversion_id:
            msg = f"asked about {client_conversion_id}, told about {state.client_conversion_id}"
            raise ValueError(msg)
        return state


def _word(said: Any) -> ConversionState | Unreadable:
    """Return a word of the list; one without a sequence cannot be gone past, so it makes the whole list unreadable."""
    sequence = int(said["sequence"])
    try:
        return ConversionState.model_validate(said)
    except ValueError as error:
        return Unreadable(str(said.get("id", sequence)), sequence, str(error))
