"""Due (due.network): a quote is asked for and a transfer made of it, as its public documentation describes.

A transfer carries our own id as its memo, since Due promises nothing for repeated requests: it is looked for before it is made,
and found by its memo when the answer was lost. A quote can be taken for two minutes, so for that long a transfer whose answer was
lost may still come to be. Its words are the events that it keeps for our webhook endpoint, posted or not.

`accounts` has what Due calls our buffers (a wallet, a recipient), and `webhook_endpoint`. Amounts are decimal text. The fee is
told in the currency of the destination.
"""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

from connectors.answers import NotFound, Refused
from connectors.clock import Clock, now_ms
from connectors.providers.calls import NOT_UNDERSTOOD, Calls, understood
from connectors.providers.dialects import (
    EXPIRED,
    OVERLAP_MS,
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
from domain.money import decimal_from_text, is_price
from domain.times import DAY_MS, parse_ms, text_of
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
    "awaiting_funds": "processing",
    "funds_received": "processing",
    "payment_submitted": "processing",
    "payment_processed": "completed",
    "failed": "failed",
    "refunded": "failed",
    "canceled": "cancelled",
}
RAILS: Mapping[str, str] = {"USDC": "base", "USD": "ach"}
QUOTE_VALID_MS = 130_000
LOOK_BACK_MS = 7 * DAY_MS
PAGE = 100
STATUS_CHANGED = "transfer.status_changed"


class DueProvider:
    """Implements `connectors.providers.port.Provider`."""

    void_after_ms = QUOTE_VALID_MS

    def __init__(
        self,
        base_url: str,
        account: str,
        api_key: str,
        accounts: Mapping[str, str],
        timeout_seconds: float = 5.0,
        clock: Clock = now_ms,
    ) -> None:
        headers = {"Authorization": f"Bearer {api_key}", "Due-Account-Id": account}
        self._calls = Calls(base_url, timeout_seconds, lambda *_: headers, _refusal)
        self._accounts = accounts
        self._clock = clock
        self._heard = Heard()
        self._transfer_ids: dict[str, str] = {}

    def convert(self, request: ConversionRequest, expires_at_ms: int) -> ConversionState:
        """Ask for a conversion. Raises `Refused`, `Unknown`."""
        known = self._found(request.client_conversion_id)
        if known is not None:
            return self._state(known)
        sides = {"sender": self._account(request.source), "recipient": self._account(request.destination)}
        asked = _asked(request.source_currency, request.destination_currency, request.amount)
        with understood():
            token = str(self._calls.post("/v1/transfers/quote", asked)["token"])
        if self._clock() > expires_at_ms:
            raise Refused(EXPIRED, "the quote took longer than the request may")
        body = {"quote": token, "memo": request.client_conversion_id, **sides}
        return self._state(self._calls.post("/v1/transfers", body))

    def conversion(self, client_conversion_id: str) -> ConversionState:
        """Look a conversion up. Raises `NotFound`, `Unknown`."""
        known = self._transfer_ids.get(client_conversion_id)
        said = self._calls.get(f"/v1/transfers/{known}") if known else self._found(client_conversion_id)
        if said is None:
            raise NotFound
        return self._state(said)

    def cancel(self, request: ConversionCancel, expires_at_ms: int) -> CancelState:
        """Say how the conversion stands: Due lets go of nothing by request. Raises `Refused`, `Unknown`."""
        return refuse_cancel(request, self.conversion(request.client_conversion_id))

    def ask_cancel(self, request: ConversionCancel) -> CancelState:
        """Look up how the conversion ended. Raises `NotFound`, `Unknown`."""
        return cancel_by_state(request, self.conversion(request.client_conversion_id))

    def changes(self, after_sequence: int, limit: int) -> Sequence[ConversionState | Unreadable]:
        """Return words that came later. Raises `Unknown`."""
        return self._heard.new(self._words(after_sequence - OVERLAP_MS), after_sequence, limit)

    def quote(self, source_currency: BufferCurrency, destination_currency: BufferCurrency, amount: int) -> Quote:
        """Return what an amount would give. Raises `Refused`, `Unknown`."""
        said = self._calls.post("/v1/transfers/estimate", _asked(source_currency, destination_currency, amount))
        with understood():
            return Quote.model_validate(moved(said)._asdict())

    def statement(self, since_ms: int, until_ms: int) -> Sequence[StatementLine]:
        """Return how our money moved, at the time when a transfer was made. Raises `Unknown`."""
        lines: list[StatementLine] = []
        for said in self._pages("/v1/transfers", since_ms, order="asc", endDate=text_of(until_ms)):
            with understood():
                at_ms, source, destination = parse_ms(said["createdAt"]), said["source"], said["destination"]
                state = self._state(said).model_copy(update={"at_ms": at_ms})
                is_in_time = since_ms <= at_ms < until_ms
                lines += lines_of([state] if is_in_time else [], source["currency"], destination["currency"])
        return lines

    def close(self) -> None:
        """Close the connection."""
        self._calls.close()

    def _account(self, buffer: str) -> str:
        if buffer not in self._accounts:
            code, text = "no_account", f"the settings do not say what Due calls {buffer}: providers.NAME.accounts"
            raise Refused(code, text)
        return self._accounts[buffer]

    def _found(self, client_conversion_id: str) -> Any | None:
        since_ms = max(0, self._clock() - LOOK_BACK_MS)
        for said in self._pages("/v1/transfers", since_ms, order="desc"):
            with understood():
                if _memo(said) == client_conversion_id:
                    return said
        return None

    def _pages(self, path: str, since_ms: int, **query: str) -> Iterator[Any]:
        """Yield the items of a list, page by page."""
        cursor: dict[str, str] = {}
        while True:
            page = self._calls.get(path, startDate=text_of(max(0, since_ms)), limit=PAGE, **query, **cursor)
            with understood():
                items, following = list(page["items"]), page.get("next")
            yield from items
            if not items or not following:
                return
            cursor = {"next": str(following)}

    def _state(self, said: Any) -> ConversionState:
        """Return the state of a transfer that was asked about, as of now."""
        now = self._clock()
        with understood():
            state = _state(said, f"{said['id']}:{said['status']}", now)
            self._transfer_ids[state.client_conversion_id] = state.provider_tx_id
            return state

    def _words(self, since_ms: int) -> Iterator[ConversionState | Unreadable]:
        path = f"/v1/webhook_endpoints/{self._accounts['webhook_endpoint']}/events"
        for event in self._pages(path, since_ms, order="asc"):
            with understood():
                is_ours = event["type"] == STATUS_CHANGED and _memo(event["data"])
                word = _word(event) if is_ours else None
            if word is not None:
                yield word


def _word(event: Any) -> ConversionState | Unreadable:
    name, at_ms = str(event["id"]), parse_ms(event["occurredAt"])
    try:
        return _state(event["data"], name, at_ms)
    except NOT_UNDERSTOOD as error:
        return Unreadable(name, at_ms, f"{type(error).__name__}: {error}")


def _state(said: Any, name: str, at_ms: int) -> ConversionState:
    word = word_of(WORDS, said["status"])
    return ConversionState(
        id=name,
        client_conversion_id=_memo(said) or "",
        provider_tx_id=said["id"],
        state=word,
        sequence=at_ms,
        error=said["status"] if word in ("failed", "cancelled") else None,
        at_ms=at_ms,
        **(moved(said)._asdict() if word == "completed" else {}),
    )


def _memo(said: Any) -> str | None:
    memo = said["destination"].get("memo") or said["source"].get("memo")
    return memo if memo is None else str(memo)


def moved(transfer: Any) -> Moved:
    """Return what a transfer took, gave and kept; ValueError, TypeError or LookupError when it does not say.

    One fee is told on both sides, in the currency of each, and counts once, in that of the destination.
    """
    source, destination = transfer["source"], transfer["destination"]
    (taken, taken_fee), (given, given_fee) = _amounts(source), _amounts(destination)
    if given_fee or not taken_fee:
        fee, rate = given_fee, rate_of(taken, source["currency"], given + given_fee, destination["currency"])
    else:
        converted = taken - taken_fee
        fee = round(Fraction(taken_fee * given, converted))
        rate = rate_of(converted, source["currency"], given, destination["currency"])
    told = transfer.get("fxRate")
    return Moved(taken, given, fee, rate if told is None else _rate(told))


def _rate(told: Any) -> Decimal:
    rate = decimal_from_text(told) if isinstance(told, str) else Decimal(told)
    if rate is None or not is_price(rate):
        msg = f"fxRate {str(told)[:64]!r} is no rate"
        raise ValueError(msg)
    return rate


def _amounts(side: Any) -> tuple[int, int]:
    fee = side.get("totalFee") or side.get("fee") or "0"
    return minor_units(side["amount"], side["currency"]), minor_units(fee, side["currency"])


def _asked(source: str, destination: str, amount: int) -> dict[str, Any]:
    return {
        "source": {"rail": RAILS[source], "currency": source, "amount": whole_text(amount, source)},
        "destination": {"rail": RAILS[destination], "currency": destination},
    }


def _refusal(body: Any) -> tuple[str, str]:
    return str(body.get("error_code") or body["code"])[:64], str(body["message"])
