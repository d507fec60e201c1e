"""What an answer over HTTP means, whichever dialect: a definite no, not found, or nothing that one could know."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, NamedTuple

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.answers import NotFound, Refused, Unknown
from connectors.providers.due import DueProvider
from connectors.providers.http import HttpProvider
from connectors.providers.port import Provider, Unreadable
from connectors.providers.zerohash import ZerohashProvider
from domain.treasury.conversion import ConversionState
from tests.connectors.providers.asking import client_id
from tests.connectors.providers.dialects import ZEROHASH_SECRET, served


class Answer(NamedTuple):
    """A status and a body."""

    status: int
    body: Any


class Canned:
    """A server that answers every question the same way, or by its path."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}

    async def answer(self, request: Request) -> Response:
        status, body = self.answers.get(request.url.path, self.answers.get("*", Answer(404, "")))
        content = body if isinstance(body, str) else json.dumps(body)
        return Response(content, status, {"location": "/elsewhere"} if status == 302 else None)


CANNED = Canned()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Serves canned answers."""
    with served(Starlette(routes=[Route("/{path:path}", CANNED.answer, methods=["GET", "POST"])])) as url:
        yield url


Open = Callable[[str], Provider]


@pytest.fixture
def opened(url: str) -> Iterator[Open]:
    """Opens the adapter of a kind."""
    with ExitStack() as stack:

        def one(kind: str) -> Provider:
            adapters: dict[str, Callable[[], Provider]] = {
                "due": lambda: DueProvider(url, "acct", "key", {"webhook_endpoint": "whk_1"}),
                "zerohash": lambda: ZerohashProvider(url, "key", ZEROHASH_SECRET, "pass", "PLAT01"),
                "http": lambda: HttpProvider(url, "key", "secret"),
            }
            return stack.enter_context(closing(adapters[kind]()))

        yield one


STATE = {
    "id": "w1",
    "client_conversion_id": client_id(1),
    "provider_tx_id": "t1",
    "state": "completed",
    "sequence": 3,
    "source_amount": 100,
    "destination_amount": 1_000_000,
    "fee_amount": 0,
    "rate": "1",
    "at_ms": 5,
}
DUE_SIDES = {
    "source": {"amount": "1.00", "fee": "0", "currency": "USD"},
    "destination": {"amount": "1.000000", "fee": "0", "currency": "USDC", "memo": client_id(1)},
}
TRANSFER = {"id": "t1", "status": "payment_processed", **DUE_SIDES, "createdAt": "2026-01-31T12:00:00Z"}
TRADE = {
    "trade_id": "t1",
    "client_trade_id": "q1",
    "trade_state": "terminated",
    "trade_price": "1",
    "last_update": 5,
    "parties": [{"side": "buy"}],
    "quantity": "1.000000",
    "total_notional": "1.00",
    "asset_cost_notional": "1.00",
}
QUOTE = Answer(200, {"message": {"quote_id": "q1", "request_id": client_id(1)}})


def said(kind: str, whole: dict[str, Any]) -> dict[str, Answer]:
    """Return the answers by which a look-up says this of a conversion."""
    if kind == "due":
        return {"/v1/transfers": Answer(200, {"items": [whole], "next": None})}
    if kind == "zerohash":
        return {"/liquidity/rfq": QUOTE, "/trades/client_trade_id/q1": Answer(200, {"message": whole})}
    return {"*": Answer(200, whole)}


WHOLE = {"http": STATE, "due": TRANSFER, "zerohash": TRADE}


@pytest.mark.parametrize("kind", ["http", "due", "zerohash"])
def test_a_whole_answer_is_read(kind: str, opened: Open) -> None:
    """A dollar became a USDC, at no cost."""
    CANNED.answers = said(kind, WHOLE[kind])
    state = opened(kind).conversion(client_id(1))
    assert ("completed", 100, 1_000_000, 0, "1") == (
        state.state,
        state.source_amount,
        state.destination_amount,
        state.fee_amount,
        str(state.rate),
    )


BROKEN = [
    ("http", {"state": "teleported"}),
    ("http", {"state": "Completed"}),
    ("http", {"source_amount": None}),
    ("http", {"source_amount": 1.5}),
    ("http", {"source_amount": "100"}),
    ("http", {"client_conversion_id": client_id(2)}),
    ("http", {"provider_tx_id": ""}),
    ("due", {"status": "teleported"}),
    ("due", {"status": None}),
    ("due", {"source": {"amount": "1.001", "currency": "USD"}}),
    ("due", {"source": {"amount": 1.0, "currency": "USD"}}),
    ("due", {"source": {"amount": "1.00", "currency": "DOGE"}}),
    ("due", {"source": {"amount": "0", "currency": "USD"}}),
    ("due", {"destination": DUE_SIDES["destination"] | {"amount": "1.0000001"}}),
    ("zerohash", {"trade_state": "teleported"}),
    ("zerohash", {"quantity": "1.0000001"}),
    ("zerohash", {"total_notional": "1e2"}),
    ("zerohash", {"total_notional": 1.0}),
    ("zerohash", {"parties": []}),
]


@pytest.mark.parametrize(("kind", "change"), BROKEN)
def test_what_is_not_understood_is_unknown(kind: str, change: dict[str, Any], opened: Open) -> None:
    """A word that nobody knows, an amount finer than its minor unit, a number where text belongs: nothing is guessed."""
    CANNED.answers = said(kind, WHOLE[kind] | change)
    with pytest.raises(Unknown):
        opened(kind).conversion(client_id(1))


@pytest.mark.parametrize("kind", ["http", "due", "zerohash"])
@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(200, ""), Unknown),
        (Answer(200, "<html>"), Unknown),
        (Answer(200, []), Unknown),
        (Answer(200, {}), Unknown),
        (Answer(204, ""), Unknown),
        (Answer(302, ""), Unknown),
        (Answer(400, "<html>"), Unknown),
        (Answer(404, ""), NotFound),
        (Answer(408, "{}"), Unknown),
        (Answer(409, "{}"), Unknown),
        (Answer(425, "{}"), Unknown),
        (Answer(429, {"code": "slow", "error_code": "slow", "text": "down", "message": "down"}), Refused),
        (Answer(403, {"code": "no", "error_code": "no", "text": "never", "message": "never"}), Refused),
        (Answer(500, {"code": "no", "error_code": "no", "text": "never", "message": "never"}), Unknown),
        (Answer(503, ""), Unknown),
    ],
)
def test_a_status_means_the_same_everywhere(kind: str, answer: Answer, error: type[Exception], opened: Open) -> None:
    """Only a 4xx whose body reads as a refusal is a definite no."""
    CANNED.answers = {"*": answer}
    with pytest.raises(error):
        opened(kind).conversion(client_id(1))


def words(kind: str, broken: dict[str, Any]) -> dict[str, Answer]:
    """Return a list of two words of which the first is broken."""
    if kind == "due":
        event = {"id": "w1", "type": "transfer.status_changed", "occurredAt": "2026-01-31T12:00:00Z"}
        events = [event | {"data": TRANSFER | broken}, event | {"id": "w2", "data": TRANSFER}]
        return {"*": Answer(200, {"items": events, "next": None})}
    if kind == "zerohash":
        trades = [TRADE | broken, TRADE | {"trade_id": "t2", "last_update": 6}]
        return {"/trades": Answer(200, {"message": trades}), "/liquidity/rfq": QUOTE}
    return {"*": Answer(200, [STATE | broken, STATE | {"id": "w2", "sequence": 4}])}


@pytest.mark.parametrize(("kind", "change"), [one for one in BROKEN if "client_conversion_id" not in one[1]])
def test_a_broken_word_hides_no_other(kind: str, change: dict[str, Any], opened: Open) -> None:
    """In a list it is told as one that cannot be read, and the one behind it is read."""
    CANNED.answers = words(kind, change)
    first, second = opened(kind).changes(0, 10)
    assert (Unreadable, ConversionState) == (type(first), type(second))
