"""The simulated provider over HTTP: JSON in, JSON out, a path per method of the port, signed requests only.

Statuses: 200 with the answer, 400 with `code` and `text` when the provider refuses, 401 when a signature is wrong, too old or was
seen before, 404 when it does not know the id, 503 when a fault of the road is simulated. A request that hangs is carried out, and
its answer held back.
"""

import asyncio
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping

from pydantic import BaseModel, ConfigDict, RootModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.answers import NotFound, Refused, Unknown
from connectors.providers.signing import AGE_MAX_SECONDS, KEY, NONCE, SIGNATURE, TIMESTAMP, request_signature
from connectors.providers.simulated.in_process import InProcessProvider
from domain.messages.fields import Name
from domain.messages.treasury import BufferCurrency, BufferName, PositiveAmount
from domain.simulated.provider_faults import suffers
from domain.simulated.provider_terms import AMOUNT_INVALID
from domain.treasury.conversion import ConversionState, StatementLine

LIMIT_MAX = 1_000
NONCES_MAX = 100_000


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    expires_at_ms: int


class ConversionBody(_Body):
    """A request to convert an amount in minor units of the source's currency."""

    client_conversion_id: Name
    source: BufferName
    destination: BufferName
    source_currency: BufferCurrency
    destination_currency: BufferCurrency
    amount: PositiveAmount


class CancelBody(_Body):
    """A request to let go of a conversion."""

    client_cancel_id: Name
    client_conversion_id: Name


class QuoteQuery(BaseModel):
    """A question what an amount would give."""

    source_currency: BufferCurrency
    destination_currency: BufferCurrency
    amount: PositiveAmount


class Words(RootModel[list[ConversionState]]):
    """A page of what was said."""


class Lines(RootModel[list[StatementLine]]):
    """A statement."""


class Guard:
    """Knows by signature, time and nonce whether a request is ours and is sent for the first time."""

    def __init__(self, key: str, secret: str, clock: Callable[[], int]) -> None:
        self._key, self._secret, self._clock = key, secret, clock
        self._nonces: OrderedDict[str, None] = OrderedDict()

    def lets_in(self, request: Request, body: bytes) -> bool:
        """Return whether a request is answered, and remember its nonce."""
        headers = request.headers
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        timestamp, nonce = headers.get(TIMESTAMP, ""), headers.get(NONCE, "")
        expected = request_signature(self._secret, request.method, target, timestamp, nonce, body)
        is_ours = hmac.compare_digest(expected.encode(), headers.get(SIGNATURE, "").encode())
        if not is_ours or headers.get(KEY, "") != self._key or not self._is_recent(timestamp) or nonce in self._nonces:
            return False
        self._nonces[nonce] = None
        if len(self._nonces) > NONCES_MAX:
            self._nonces.popitem(last=False)
        return True

    def _is_recent(self, timestamp: str) -> bool:
        return timestamp.isdecimal() and abs(self._clock() // 1000 - int(timestamp)) <= AGE_MAX_SECONDS


def _convert(road: InProcessProvider, _: Request, body: bytes) -> BaseModel:
    asked = ConversionBody.model_validate_json(body)
    return road.convert(asked, asked.expires_at_ms)


def _conversion(road: InProcessProvider, request: Request, _: bytes) -> BaseModel:
    return road.conversion(request.path_params["client_id"])


def _cancel(road: InProcessProvider, _: Request, body: bytes) -> BaseModel:
    asked = CancelBody.model_validate_json(body)
    return road.cancel(asked, asked.expires_at_ms)


def _ask_cancel(road: InProcessProvider, request: Request, _: bytes) -> BaseModel:
    return road.cancel_of(request.path_params["client_id"])


def _changes(road: InProcessProvider, request: Request, _: bytes) -> BaseModel:
    after, limit = int(request.query_params["after"]), int(request.query_params["limit"])
    return Words(list(road.changes(max(0, after), min(max(1, limit), LIMIT_MAX))))


def _quote(road: InProcessProvider, request: Request, _: bytes) -> BaseModel:
    asked = QuoteQuery.model_validate(dict(request.query_params))
    return road.quote(asked.source_currency, asked.destination_currency, asked.amount)


def _statement(road: InProcessProvider, request: Request, _: bytes) -> BaseModel:
    return Lines(list(road.statement(int(request.query_params["since_ms"]), int(request.query_params["until_ms"]))))


_Handler = Callable[[InProcessProvider, Request, bytes], BaseModel]
_ROUTES: Mapping[tuple[str, str], _Handler] = {
    ("POST", "/conversions"): _convert,
    ("GET", "/conversions/{client_id}"): _conversion,
    ("POST", "/cancels"): _cancel,
    ("GET", "/cancels/{client_id}"): _ask_cancel,
    ("GET", "/changes"): _changes,
    ("GET", "/quote"): _quote,
    ("GET", "/statement"): _statement,
}


def application(road: InProcessProvider, guard: Guard) -> Starlette:
    """Return the application over one provider; its only state is the provider's, and the nonces that were seen."""

    def route(method: str, path: str, handler: _Handler) -> Route:
        async def answered(request: Request) -> Response:
            body = await request.body()
            if not guard.lets_in(request, body):
                return _failed(401, "unauthorized", "the signature is wrong, too old or was seen before")
            response = _answer(handler, road, request, body)
            await asyncio.sleep(_held_back_ms(road, request) / 1000)
            return response

        return Route(path, answered, methods=[method])

    async def health(_: Request) -> Response:
        return JSONResponse({"sequence": road.truth.account.sequence})

    routes = [route(method, path, handler) for (method, path), handler in _ROUTES.items()]
    return Starlette(routes=[*routes, Route("/health", health)])


def _answer(handler: _Handler, road: InProcessProvider, request: Request, body: bytes) -> Response:
    """Return the answer with what was raised turned into a status."""
    try:
        return Response(handler(road, request, body).model_dump_json(), media_type="application/json")
    except Unknown as error:
        return _failed(503, "503", str(error))
    except Refused as error:
        return _failed(400, error.code, error.text)
    except NotFound:
        return _failed(404, "404", "not found")
    except (ValidationError, KeyError, ValueError) as error:
        return _failed(400, AMOUNT_INVALID, str(error)[:500])


def _held_back_ms(road: InProcessProvider, request: Request) -> int:
    key = request.headers.get("Idempotency-Key")
    hangs = key is not None and suffers(road.truth.faults, road.truth.seed, "hang", key)
    return road.truth.faults.hang_ms if hangs else 0


def _failed(status: int, code: str, text: str) -> Response:
    return JSONResponse({"code": code, "text": text}, status)
