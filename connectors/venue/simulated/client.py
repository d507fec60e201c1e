"""The port over HTTP, against the process of the simulated exchange.

What a status means: 200 is the answer, 400 a refusal with its code and text, 404 not found. Everything else, a
time-out, a connection that broke, and an answer that cannot be read all mean that the fate of the request is unknown.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from connectors.answers import NotFound, Refused, Unknown
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.venue.account import ACCOUNT_EVENTS, AccountEvent, Balances, OrderState, Position, TransferState

_OK, _REFUSED, _NOT_FOUND = 200, 400, 404
_T = TypeVar("_T")

_ORDER = TypeAdapter(OrderState)
_TRANSFER = TypeAdapter(TransferState)
_POSITION = TypeAdapter(Position)
_BALANCES = TypeAdapter(Balances)


class HttpExchange:
    """Implements `connectors.venue.port.Exchange`; one connection is kept open between requests."""

    def __init__(self, base_url: str, timeout_seconds: float = 5.0) -> None:
        self._client = httpx.Client(base_url=base_url, timeout=timeout_seconds)

    def place(self, order: HedgeOrder, expires_at_ms: int) -> OrderState:
        """Place an order. Raises `Refused`, `Unknown`."""
        body = order.model_dump(include={"client_order_id", "action", "contracts"})
        return self._post("/orders", body | {"expires_at_ms": expires_at_ms}, _ORDER)

    def order(self, client_order_id: str) -> OrderState:
        """Look an order up. Raises `NotFound`, `Unknown`."""
        return self._get("/orders/lookup", {"client_id": client_order_id}, _ORDER)

    def transfer(self, transfer: CollateralTransfer, expires_at_ms: int) -> TransferState:
        """Ask for a transfer. Raises `Refused`, `Unknown`."""
        body = transfer.model_dump(include={"client_transfer_id", "kind", "amount_sats"})
        return self._post("/transfers", body | {"expires_at_ms": expires_at_ms}, _TRANSFER)

    def transfer_state(self, client_transfer_id: str) -> TransferState:
        """Look a transfer up. Raises `NotFound`, `Unknown`."""
        return self._get("/transfers/lookup", {"client_id": client_transfer_id}, _TRANSFER)

    def position(self) -> Position:
        """The net position. Raises `Unknown`."""
        return self._get("/position", {}, _POSITION)

    def balances(self) -> Balances:
        """Both pockets. Raises `Unknown`."""
        return self._get("/balances", {}, _BALANCES)

    def events(self, after_sequence: int, limit: int) -> Sequence[AccountEvent]:
        """Events of the account. Raises `Unknown`."""
        return self._get("/events", {"after": after_sequence, "limit": limit}, ACCOUNT_EVENTS)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _get(self, path: str, query: Mapping[str, str | int], answer: TypeAdapter[_T]) -> _T:
        return self._ask(self._client.build_request("GET", path, params=query), answer)

    def _post(self, path: str, body: Mapping[str, Any], answer: TypeAdapter[_T]) -> _T:
        return self._ask(self._client.build_request("POST", path, json=body), answer)

    def _ask(self, request: httpx.Request, answer: TypeAdapter[_T]) -> _T:
        try:
            response = self._client.send(request)
            if response.status_code == _OK:
                return answer.validate_json(response.content)
            if response.status_code == _REFUSED:
                refusal = response.json()
                raise Refused(str(refusal["code"]), str(refusal["text"]))
        except (httpx.HTTPError, ValidationError, ValueError, KeyError, TypeError) as error:
            msg = f"{type(error).__name__}: {error}"[:200]
            raise Unknown(msg) from error
        if response.status_code == _NOT_FOUND:
            raise NotFound(response.text[:200])
        msg = f"status {response.status_code}"
        raise Unknown(msg)
