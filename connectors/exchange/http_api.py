"""The simulated exchange over HTTP: JSON in, JSON out, one path per method of the port.

Statuses: 200 with the answer, 400 with `code` and `text` when the exchange refuses, 404 when it does not know the id,
503 when a fault of the road is simulated. Lists of events are asked for by `after` and `limit`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.exchange.in_process import InProcessExchange
from connectors.exchange.port import NotFound, Refused, Unknown
from domain.exchange_facts import ACCOUNT_EVENTS, BAD_PARAMETER, OrderAction, TransferKind
from domain.exchange_faults import delay_ms_of

EVENTS_LIMIT_MAX = 1_000
_Handler = Callable[[Request], Awaitable[Response]]


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


def application(road: InProcessExchange) -> Starlette:
    """The application over one exchange; its only state is the exchange's."""
    truth = road.truth

    async def place(request: Request) -> Response:
        body = OrderBody.model_validate_json(await request.body())
        answer = road.carry_out(
            lambda now_ms: truth.place(body.client_order_id, body.action, body.contracts, body.expires_at_ms, now_ms)
        )
        return _json(answer)

    async def transfer(request: Request) -> Response:
        body = TransferBody.model_validate_json(await request.body())
        answer = road.carry_out(
            lambda now_ms: truth.transfer(
                body.client_transfer_id, body.kind, body.amount_sats, body.expires_at_ms, now_ms
            )
        )
        return _json(answer)

    async def order(request: Request) -> Response:
        return _json(road.order(request.query_params["client_id"]))

    async def transfer_state(request: Request) -> Response:
        return _json(road.transfer_state(request.query_params["client_id"]))

    async def position(_: Request) -> Response:
        return _json(road.position())

    async def balances(_: Request) -> Response:
        return _json(road.balances())

    async def events(request: Request) -> Response:
        after = int(request.query_params.get("after", "0"))
        limit = int(request.query_params.get("limit", "100"))
        page = road.events(max(0, after), min(max(1, limit), EVENTS_LIMIT_MAX))
        return Response(ACCOUNT_EVENTS.dump_json(list(page)), media_type="application/json")

    async def health(_: Request) -> Response:
        return JSONResponse({"sequence": truth.account.sequence})

    handlers: list[tuple[str, _Handler, str]] = [
        ("/orders", place, "POST"),
        ("/orders/lookup", order, "GET"),
        ("/transfers", transfer, "POST"),
        ("/transfers/lookup", transfer_state, "GET"),
        ("/position", position, "GET"),
        ("/balances", balances, "GET"),
        ("/events", events, "GET"),
    ]
    routes = [Route(path, _answered(handler, road), methods=[method]) for path, handler, method in handlers]
    return Starlette(routes=[*routes, Route("/health", health)])


def _answered(handler: _Handler, road: InProcessExchange) -> _Handler:
    """The handler with what it raises turned into statuses, and its answer held back when that fault is drawn."""

    async def answered(request: Request) -> Response:
        try:
            response = await handler(request)
        except Unknown as error:
            response = JSONResponse({"code": "503", "text": str(error)}, 503)
        except Refused as error:
            response = JSONResponse({"code": error.code, "text": error.text}, 400)
        except NotFound:
            response = JSONResponse({"code": "404", "text": "not found"}, 404)
        except (ValidationError, KeyError, ValueError) as error:
            response = JSONResponse({"code": BAD_PARAMETER, "text": str(error)[:500]}, 400)
        await asyncio.sleep(delay_ms_of(road.faults, road.truth.seed, road.requests) / 1000)
        return response

    return answered


def _json(answer: BaseModel) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")
