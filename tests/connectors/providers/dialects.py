"""The dialects of real providers, spoken by a simulated one: small applications over it, served on loopback by a thread."""

import asyncio
import hmac
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from threading import Event, Thread
from typing import Any, NamedTuple

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors import serving
from connectors.answers import NotFound, Refused, Unknown
from connectors.providers.simulated.in_process import InProcessProvider
from domain.messages.treasury import BufferCurrency
from domain.simulated.provider_terms import Conversion
from domain.times import parse_ms, text_of
from domain.treasury.conversion import ConversionState, Quote, minor_units, whole_text
from tests.waiting import PATIENCE_SECONDS

NEVER_MS = 2**40
API_KEY, DUE_ACCOUNT = "due-key", "acct_1"
ZEROHASH_SECRET = b64encode(b"zerohash secret").decode()
Handler = Callable[[Request, dict[str, Any]], Any]


class Asked(NamedTuple):
    """A request to convert, as the simulated provider takes it."""

    client_conversion_id: str
    source_currency: BufferCurrency
    destination_currency: BufferCurrency
    amount: int


@contextmanager
def served(application: Starlette) -> Iterator[str]:
    """Serve an application in a thread, and yield where."""
    config = uvicorn.Config(application, log_level="error", lifespan="off")
    server, is_ready, ports = serving.Server(config), Event(), list[int]()

    def say(port: int) -> None:
        ports.append(port)
        is_ready.set()

    with serving.listening(serving.LOOPBACK, 0) as listener:
        thread = Thread(target=lambda: asyncio.run(serving.serve(server, listener, say)), daemon=True)
        thread.start()
        assert is_ready.wait(PATIENCE_SECONDS)
        yield f"http://{serving.LOOPBACK}:{ports[0]}"
        server.should_exit = True
        thread.join(PATIENCE_SECONDS)


def _route(
    method: str, path: str, handler: Handler, is_ours: Callable[[Request, bytes], bool], error: Callable[[Refused], Any]
) -> Route:
    async def answered(request: Request) -> Response:
        content = await request.body()
        if not is_ours(request, content):
            return JSONResponse(error(Refused("unauthorized", "who are you?")), 401)
        try:
            return JSONResponse(handler(request, json.loads(content or b"{}")))
        except Refused as refused:
            return JSONResponse(error(refused), 400)
        except NotFound:
            return JSONResponse({}, 404)
        except Unknown as unknown:
            return JSONResponse({"message": str(unknown)}, 503)

    return Route(path, answered, methods=[method])


# ---- Due

DUE_STATUS = {
    "processing": "payment_submitted",
    "completed": "payment_processed",
    "failed": "failed",
    "cancelled": "canceled",
}


def _due_side(currency: str, amount: int, fee: int = 0, memo: str | None = None) -> dict[str, Any]:
    return {"currency": currency, "amount": whole_text(amount, currency), "fee": whole_text(fee, currency), "memo": memo}


def _due_transfer(one: Conversion, said: ConversionState) -> dict[str, Any]:
    quote = one.quote
    return {
        "id": one.provider_tx_id,
        "status": DUE_STATUS[said.state],
        "source": _due_side(one.source_currency, quote.source_amount),
        "destination": _due_side(
            one.destination_currency, quote.destination_amount, quote.fee_amount, one.client_conversion_id
        ),
        "createdAt": text_of(one.accepted_at_ms),
    }


def due(road: InProcessProvider) -> Starlette:
    """Return an application that speaks as Due does; a quote's token says what was asked for."""
    truth = road.truth

    def is_ours(request: Request, _: bytes) -> bool:
        headers = request.headers
        return (headers.get("authorization"), headers.get("due-account-id")) == (f"Bearer {API_KEY}", DUE_ACCOUNT)

    def asked(body: dict[str, Any], client_id: str = "") -> Asked:
        source = body["source"]
        amount = minor_units(source["amount"], source["currency"])
        return Asked(client_id, source["currency"], body["destination"]["currency"], amount)

    def estimate(_: Request, body: dict[str, Any]) -> Any:
        wanted = asked(body)
        quote = road.quote(wanted.source_currency, wanted.destination_currency, wanted.amount)
        return {
            "token": b64encode(json.dumps(body).encode()).decode(),
            "source": _due_side(wanted.source_currency, wanted.amount),
            "destination": _due_side(wanted.destination_currency, quote.destination_amount, quote.fee_amount),
        }

    def create(_: Request, body: dict[str, Any]) -> Any:
        wanted = asked(json.loads(b64decode(body["quote"])), body["memo"])
        said = road.convert(wanted, NEVER_MS)
        return _due_transfer(truth.conversions[wanted.client_conversion_id], said)

    def transfers() -> list[dict[str, Any]]:
        road.changes(0, 1)
        return [_due_transfer(one, truth.changes[one.sequence - 1]) for one in truth.conversions.values()]

    def page(request: Request, items: list[dict[str, Any]], at: str) -> Any:
        query = request.query_params
        since_ms, start, size = parse_ms(query["startDate"]), int(query.get("next", "0")), int(query["limit"])
        found = [item for item in items if parse_ms(item[at]) >= since_ms]
        found = found if query["order"] == "asc" else found[::-1]
        more = start + size < len(found)
        return {"items": found[start : start + size], "next": str(start + size) if more else None}

    def one(request: Request, _: dict[str, Any]) -> Any:
        found = [item for item in transfers() if item["id"] == request.path_params["id"]]
        if not found:
            raise NotFound
        return found[0]

    def events(request: Request, _: dict[str, Any]) -> Any:
        road.changes(0, 1)
        told = [
            {
                "id": word.id,
                "type": "transfer.status_changed",
                "data": _due_transfer(truth.conversions[word.client_conversion_id], word),
                "occurredAt": text_of(word.at_ms),
            }
            for word in truth.changes
        ]
        return page(request, told, "occurredAt")

    def error(refused: Refused) -> Any:
        return {"error_code": refused.code, "message": refused.text, "http_code": 400}

    routes: dict[tuple[str, str], Handler] = {
        ("POST", "/v1/transfers/quote"): estimate,
        ("POST", "/v1/transfers/estimate"): estimate,
        ("POST", "/v1/transfers"): create,
        ("GET", "/v1/transfers"): lambda request, _: page(request, transfers(), "createdAt"),
        ("GET", "/v1/transfers/{id}"): one,
        ("GET", "/v1/webhook_endpoints/whk_1/events"): events,
    }
    return Starlette(routes=[_route(*at, handler, is_ours, error) for at, handler in routes.items()])


# ---- zerohash

ZEROHASH_STATE = {"processing": "active", "completed": "terminated", "failed": "defaulted", "cancelled": "cancelled"}


def _zerohash_amounts(asked: Asked, quote: Quote) -> dict[str, str]:
    if asked.source_currency == "USDC":
        total, cost, quantity = quote.destination_amount, quote.destination_amount + quote.fee_amount, quote.source_amount
    else:
        fee_cents = round(quote.fee_amount / quote.rate / 10_000)
        total, cost, quantity = quote.source_amount, quote.source_amount - fee_cents, quote.destination_amount
    return {
        "quantity": whole_text(quantity, "USDC"),
        "total_notional": whole_text(total, "USD"),
        "asset_cost_notional": whole_text(cost, "USD"),
    }


def zerohash(road: InProcessProvider) -> Starlette:
    """Return an application that speaks as zerohash does; quotes are remembered by the id of the request that asked for them."""
    truth = road.truth
    quotes: dict[str, dict[str, Any]] = {}

    def is_ours(request: Request, body: bytes) -> bool:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        signed = f"{request.headers['X-SCX-TIMESTAMP']}{request.method}{target}".encode() + (body or b"{}")
        expected = b64encode(hmac.new(b"zerohash secret", signed, sha256).digest()).decode()
        headers = request.headers
        who = (headers["X-SCX-API-KEY"], headers["X-SCX-PASSPHRASE"], headers["X-SCX-SIGNED"])
        return who == ("zh-key", "open sesame", expected)

    def ask(request: Request, body: dict[str, Any]) -> Any:
        is_sale = body["side"] == "sell"
        amount = minor_units(*((body["quantity"], "USDC") if is_sale else (body["total"], "USD")))
        request_id = request.headers["X-REQUEST-ID"]
        pair = ("USDC", "USD") if is_sale else ("USD", "USDC")
        wanted = Asked(request_id.replace("-", ""), *pair, amount)  # type: ignore[arg-type]
        quote = road.quote(wanted.source_currency, wanted.destination_currency, amount)
        made = {"quote_id": f"q-{request_id}", "request_id": request_id, "price": str(quote.rate), "asked": wanted}
        return shown(quotes.setdefault(request_id, made | {"side": body["side"]} | _zerohash_amounts(wanted, quote)))

    def shown(quote: dict[str, Any]) -> Any:
        return {"message": {key: value for key, value in quote.items() if key != "asked"}}

    def read_back(request: Request, _: dict[str, Any]) -> Any:
        road.changes(0, 1)
        (name, value) = next(iter(request.query_params.items()))
        found = [quote for quote in quotes.values() if quote[name] == value]
        if not found:
            raise NotFound
        return shown(found[0])

    def execute(_: Request, body: dict[str, Any]) -> Any:
        quote = next(quote for quote in quotes.values() if quote["quote_id"] == body["quote_id"])
        said = road.convert(quote["asked"], NEVER_MS)
        return {"message": {"quote": shown(quote)["message"], "trade_id": said.provider_tx_id, "status": "Completed"}}

    def trade(quote: dict[str, Any]) -> dict[str, Any]:
        one = truth.conversions[quote["asked"].client_conversion_id]
        said = truth.changes[one.sequence - 1]
        return {
            "trade_id": one.provider_tx_id,
            "client_trade_id": quote["quote_id"],
            "trade_state": ZEROHASH_STATE[said.state],
            "trade_price": quote["price"],
            "last_update": said.at_ms,
            "parties": [{"side": quote["side"]}],
            **_zerohash_amounts(quote["asked"], one.quote),
        }

    def trades() -> list[dict[str, Any]]:
        road.changes(0, 1)
        executed = [quote for quote in quotes.values() if quote["asked"].client_conversion_id in truth.conversions]
        return sorted(map(trade, executed), key=lambda one: int(one["last_update"]))

    def listed(request: Request, _: dict[str, Any]) -> Any:
        query = request.query_params
        number, size, since_ms = int(query["page"]), int(query["page_size"]), int(query["last_update_from"])
        found = [one for one in trades() if one["last_update"] >= since_ms]
        return {"message": found[(number - 1) * size : number * size]}

    def by_client(request: Request, _: dict[str, Any]) -> Any:
        found = [one for one in trades() if one["client_trade_id"] == request.path_params["id"]]
        if not found:
            raise NotFound
        return {"message": found[0]}

    def error(refused: Refused) -> Any:
        return {"code": refused.code, "errors": [refused.text]}

    routes: dict[tuple[str, str], Handler] = {
        ("POST", "/liquidity/rfq"): ask,
        ("GET", "/liquidity/rfq"): read_back,
        ("POST", "/liquidity/execute"): execute,
        ("GET", "/trades"): listed,
        ("GET", "/trades/client_trade_id/{id}"): by_client,
    }
    return Starlette(routes=[_route(*at, handler, is_ours, error) for at, handler in routes.items()])
