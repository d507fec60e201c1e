"""zerohash: a quote is asked for and executed, as its public documentation of the liquidity endpoints describes.

A request carries its id in X-REQUEST-ID, and a quote that is asked for again under the same id is the same quote; our own id is
that id. The trade that comes of a quote has the quote's id as `client_trade_id`, so a conversion is found from our id by way of
its quote. A quote can be taken for half a minute, so for that long a trade whose answer was lost may still come to be.

Only dollars and USDC are exchanged, never dollars for dollars. Amounts are decimal text: `quantity` in USDC, `total_notional` in
dollars with all costs, `asset_cost_notional` without them. What it costs is told in the currency of the destination.
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import quote as quoted
from uuid import UUID

from connectors.answers import NotFound, Refused, Unknown
from connectors.clock import Clock, now_ms
from connectors.providers.calls import NOT_UNDERSTOOD, Calls, understood
from connectors.providers.dialects import (
    EXPIRED,
    OVERLAP_MS,
    UNSUPPORTED,
    Heard,
    Moved,
    cancel_by_state,
    lines_of,
    rate_of,
    refuse_cancel,
    word_of,
)
from connectors.providers.port import Unreadable
from domain.messages.treasury import BufferCurrency, ConversionCancel, ConversionRequest
from domain.treasury.conversion import (
    CancelState,
    ConversionState,
    ConversionWord,
    Quote,
    StatementLine,
    minor_units,
    whole_text,
)

WORDS: Mapping[str, ConversionWord] = {
    "accepted": "processing",
    "active": "processing",
    "terminated": "completed",
    "defaulted": "failed",
    "rejected": "failed",
    "expired": "failed",
    "cancelled": "cancelled",
}
UNDERLYING, QUOTED = "USDC", "USD"
SIDES: Mapping[tuple[str, str], str] = {("USDC", "USD"): "sell", ("USD", "USDC"): "buy"}
QUOTE_VALID = "30s"
QUOTE_VALID_MS = 35_000
PAGE = 100


class ZerohashProvider:
    """Implements `connectors.providers.port.Provider`; `participant` is the code of our account there."""

    void_after_ms = QUOTE_VALID_MS

    def __init__(
        self,
        base_url: str,
        key: str,
        secret: str,
        passphrase: str,
        participant: str,
        timeout_seconds: float = 5.0,
        clock: Clock = now_ms,
        nonce: Callable[[], str] = lambda: token_hex(16),
    ) -> None:
        self._calls = Calls(base_url, timeout_seconds, self._signed, _refusal)
        self._key, self._secret, self._passphrase = key, b64decode(secret, validate=True), passphrase
        self._participant = participant
        self._clock = clock
        self._nonce = nonce
        self._heard = Heard()
        self._client_ids: dict[str, str] = {}

    def convert(self, request: ConversionRequest, expires_at_ms: int) -> ConversionState:
        """Ask for a conversion. Raises `Refused`, `Unknown`."""
        client_id = request.client_conversion_id
        try:
            return self.conversion(client_id)
        except NotFound:
            quote_id = self._quote_id(request, _request_id(client_id))
        if self._clock() > expires_at_ms:
            raise Refused(EXPIRED, "the quote took longer than the request may")
        self._calls.post("/liquidity/execute", {"quote_id": quote_id}, {"X-REQUEST-ID": _request_id(client_id)})
        try:
            return self._trade(quote_id, client_id)
        except NotFound as error:
            msg = "it was executed, and there is no trade yet"
            raise Unknown(msg) from error

    def conversion(self, client_conversion_id: str) -> ConversionState:
        """Look a conversion up. Raises `NotFound`, `Unknown`."""
        said = self._calls.get("/liquidity/rfq", request_id=_request_id(client_conversion_id))
        with understood():
            quote_id = str(said["message"]["quote_id"])
        return self._trade(quote_id, client_conversion_id)

    def cancel(self, request: ConversionCancel, expires_at_ms: int) -> CancelState:
        """Say how the conversion stands: zerohash lets go of nothing by request. Raises `Refused`, `Unknown`."""
        return refuse_cancel(request, self.conversion(request.client_conversion_id))

    def ask_cancel(self, request: ConversionCancel) -> CancelState:
        """Look up how the conversion ended. Raises `NotFound`, `Unknown`."""
        return cancel_by_state(request, self.conversion(request.client_conversion_id))

    def changes(self, after_sequence: int, limit: int) -> Sequence[ConversionState | Unreadable]:
        """Return words that came later. Raises `Unknown`."""
        return self._heard.new(self._words(after_sequence - OVERLAP_MS), after_sequence, limit)

    def quote(self, source_currency: BufferCurrency, destination_currency: BufferCurrency, amount: int) -> Quote:
        """Return what an amount would give. Raises `Refused`, `Unknown`."""
        said = self._ask_for_quote(source_currency, destination_currency, amount, self._nonce())
        with understood():
            side = SIDES[source_currency, destination_currency]
            return Quote.model_validate(_moved(said["message"] | {"side": side}, "price")._asdict())

    def statement(self, since_ms: int, until_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved. Raises `Unknown`."""
        lines: list[StatementLine] = []
        for trade in self._trades(since_ms):
            client_id = self._client_id(trade)
            if client_id is None:
                continue
            with understood():
                state, (source, destination) = _state(trade, client_id), _pair(trade)
                lines += lines_of([state] if since_ms <= state.at_ms < until_ms else [], source, destination)
        return lines

    def close(self) -> None:
        """Close the connection."""
        self._calls.close()

    def _signed(self, method: str, target: str, body: bytes) -> dict[str, str]:
        timestamp = str(self._clock() // 1000)
        signed = hmac.new(self._secret, f"{timestamp}{method}{target}".encode() + (body or b"{}"), sha256).digest()
        return {
            "X-SCX-API-KEY": self._key,
            "X-SCX-PASSPHRASE": self._passphrase,
            "X-SCX-TIMESTAMP": timestamp,
            "X-SCX-SIGNED": b64encode(signed).decode(),
        }

    def _quote_id(self, request: ConversionRequest, request_id: str) -> str:
        said = self._ask_for_quote(request.source_currency, request.destination_currency, request.amount, request_id)
        with understood():
            return str(said["message"]["quote_id"])

    def _ask_for_quote(self, source: BufferCurrency, destination: BufferCurrency, amount: int, request_id: str) -> Any:
        side = SIDES.get((source, destination))
        if side is None:
            raise Refused(UNSUPPORTED, f"{source} is not exchanged for {destination} at zerohash")
        body = {
            "participant_code": self._participant,
            "underlying": UNDERLYING,
            "quoted_currency": QUOTED,
            "side": side,
            "quantity" if side == "sell" else "total": whole_text(amount, source),
            "quote_expiry": QUOTE_VALID,
        }
        return self._calls.post("/liquidity/rfq", body, {"X-REQUEST-ID": request_id})

    def _trade(self, quote_id: str, client_conversion_id: str) -> ConversionState:
        said = self._calls.get(f"/trades/client_trade_id/{quoted(quote_id, safe='')}")
        with understood():
            self._client_ids[quote_id] = client_conversion_id
            return _state(said["message"], client_conversion_id)

    def _words(self, since_ms: int) -> Iterator[ConversionState | Unreadable]:
        for trade in self._trades(since_ms):
            client_id = self._client_id(trade)
            if client_id is not None:
                with understood():
                    word = _word(trade, client_id)
                yield word

    def _trades(self, since_ms: int) -> Iterator[Any]:
        """Yield the trades that changed since then, the one that changed first before the others."""
        number = 1
        while True:
            page = self._calls.get("/trades", last_update_from=max(0, since_ms), page=number, page_size=PAGE)
            with understood():
                trades = list(page["message"])
            yield from trades
            if len(trades) < PAGE:
                return
            number += 1

    def _client_id(self, trade: Any) -> str | None:
        """Return our id of a trade, by way of its quote; None for one that somebody else has made."""
        with understood():
            quote_id = str(trade["client_trade_id"])
        if quote_id not in self._client_ids:
            try:
                said = self._calls.get("/liquidity/rfq", quote_id=quote_id)
            except NotFound:
                return None
            with understood():
                self._client_ids[quote_id] = str(said["message"]["request_id"]).replace("-", "")
        return self._client_ids[quote_id]


def _request_id(client_id: str) -> str:
    try:
        return str(UUID(hex=client_id))
    except ValueError as error:
        code, text = "bad_id", f"{client_id} are not 32 hexadecimal digits"
        raise Refused(code, text) from error


def _word(trade: Any, client_id: str) -> ConversionState | Unreadable:
    at_ms = int(trade["last_update"])
    try:
        return _state(trade, client_id)
    except NOT_UNDERSTOOD as error:
        return Unreadable(f"{trade['trade_id']}:{at_ms}", at_ms, f"{type(error).__name__}: {error}")


def _state(trade: Any, client_id: str) -> ConversionState:
    status, at_ms = str(trade["trade_state"]), int(trade["last_update"])
    word = word_of(WORDS, status)
    return ConversionState(
        id=f"{trade['trade_id']}:{status}:{at_ms}",
        client_conversion_id=client_id,
        provider_tx_id=trade["trade_id"],
        state=word,
        sequence=at_ms,
        error=status if word in ("failed", "cancelled") else None,
        at_ms=at_ms,
        **(_moved(trade | {"side": _side(trade)}, "trade_price")._asdict() if word == "completed" else {}),
    )


def _side(trade: Any) -> str:
    """Return what we did, who are the first of the parties."""
    return str(trade["parties"][0]["side"])


def _pair(trade: Any) -> tuple[BufferCurrency, BufferCurrency]:
    return ("USDC", "USD") if _side(trade) == "sell" else ("USD", "USDC")


def _moved(said: Any, price: str) -> Moved:
    quantity = minor_units(said["quantity"], UNDERLYING)
    total, cost = minor_units(said["total_notional"], QUOTED), minor_units(said["asset_cost_notional"], QUOTED)
    if said["side"] == "sell":
        return Moved(quantity, total, cost - total, rate_of(quantity, UNDERLYING, cost, QUOTED))
    fee = round(Fraction(minor_units(whole_text(total - cost, QUOTED), UNDERLYING)) / Fraction(str(said[price])))
    return Moved(total, quantity, fee, rate_of(total, QUOTED, quantity + fee, UNDERLYING))


def _refusal(body: Any) -> tuple[str, str]:
    errors = body.get("errors") or [body.get("message")]
    return str(body.get("code") or "refused")[:64], "; ".join(map(str, errors))
