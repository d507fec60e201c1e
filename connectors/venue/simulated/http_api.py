"""The simulated exchange over HTTP: JSON in, JSON out, one path per method of the port.

Statuses: 200 with the answer, 400 with `code` and `text` when the exchange refuses, 404 when it does not know the id,
503 when a fault of the road is simulated. Lists of events are asked for by `after` and `limit`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, RootModel, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.answers import NotFound, Refused, Unknown
from connectors.venue.simulated.in_process import InProcessExchange
from domain.simulated.faults import delay_ms_of
from domain.venue.account import BAD_PARAMETER, AccountEvent, OrderAction, TransferKind

EVENTS_LIMIT_MAX = 1_000
_Handler = Callable[[InProcessExchange, Request], Awaitable[BaseModel]]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    expires_at_ms: int


class OrderBody(_Body):
    """A market order for signed contracts; `close` ignores their number."""

    client_order_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,32}$")]
    action: OrderAction
    contracts: int


class TransferBody(_Body):
    """A transfer of collateral, in satoshis."""

    client_transfer_id: Annotated[str, Field(pattern=r"^[0-9A-Za-z]{1,32}$")]
    kind: TransferKind
    amount_sats: int


class AccountEvents(RootModel[list[AccountEvent]]):
    """A page of the account's history."""


async def _place(road: InProcessExchange, request: Request) -> BaseModel:
    body = OrderBody.model_validate_json(await request.body())
    return road.carry_out(
        lambda now_ms: road.truth.place(body.client_order_id, body.action, body.contracts, body.expires_at_ms, now_ms)
    )


async def _transfer(road: InProcessExchange, request: Request) -> BaseModel:
    body = TransferBody.model_validate_json(await request.body())
    return road.carry_out(
        lambda now_ms: road.truth.transfer(body.client_transfer_id, body.kind, body.amount_sats, body.expires_at_ms, now_ms)
    )


async def _order(road: InProcessExchange, request: Request) -> BaseModel:
    return road.order(request.query_params["client_id"])


async def _transfer_state(road: InProcessExchange, request: Request) -> BaseModel:
    return road.transfer_state(request.query_params["client_id"])


async def _position(road: InProcessExchange, _: Request) -> BaseModel:
    return road.position()


async def _balances(road: InProcessExchange, _: Request) -> BaseModel:
    return road.balances()


async def _events(road: InProcessExchange, request: Request) -> BaseModel:
    after = int(request.query_params.get("after", "0"))
    limit = int(request.query_params.get("limit", "100"))
    return AccountEvents(list(road.events(max(0, after), min(max(1, limit), EVENTS_LIMIT_MAX))))


_ROUTES: tuple[tuple[str, _Handler, str], ...] = (
    ("/orders", _place, "POST"),
    ("/orders/lookup", _order, "GET"),
    ("/transfers", _transfer, "POST"),
    ("/transfers/lookup", _transfer_state, "GET"),
    ("/position", _position, "GET"),
    ("/balances", _balances, "GET"),
    ("/events", _events, "GET"),
)


def application(road: InProcessExchange) -> Starlette:
    """The application over one exchange; its only state is the exchange's."""

    async def health(_: Request) -> Response:
        return JSONResponse({"sequence": road.truth.account.sequence})

    routes = [Route(path, _answered(handler, road), methods=[method]) for path, handler, method in _ROUTES]
    return Starlette(routes=[*routes, Route("/health", health)])


def _answered(handler: _Handler, road: InProcessExchange) -> Callable[[Request], Awaitable[Response]]:
    """The handler with what it raises turned into statuses, and its answer held back when that fault is drawn."""

    async def answered(request: Request) -> Response:
        try:
            answer = await handler(road, request)
            response = Response(answer.model_dump_json(), media_type="application/json")
        except Unknown as error:
            response = _failed(503, "503", str(error))
        except Refused as error:
            response = _failed(400, error.code, error.text)
        except NotFound:
            response = _failed(404, "404", "not found")
        except (ValidationError, KeyError, ValueError) as error:
            response = _failed(400, BAD_PARAMETER, str(error)[:500])
        await asyncio.sleep(delay_ms_of(road.faults, road.truth.seed, road.requests) / 1000)
        return response

    return answered


def _failed(status: int, code: str, text: str) -> Response:
    return JSONResponse({"code": code, "text": text}, status)
