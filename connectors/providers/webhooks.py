"""What a webhook says of a conversion: the body of one kind of provider, as the word that all of them come to.

A function of bytes and nothing else. What cannot be read is a value that says why: a status that nobody knows is never
guessed, an amount finer than its currency's minor unit is never rounded, and a key that stands twice has no meaning.

| kind | names the word | our id of the conversion | ends it says |
|---|---|---|---|
| http | `id` | `client_conversion_id` | all, with their amounts |
| due | `id` of the event | `memo` of a side of the transfer | all, with their amounts |
| zerohash | `trade_id/trade_state` | `client_trade_id` | none: fees are no part of it, so what came of a trade is asked for |

Other parts of Due and Zero Hash tell of other things (their accounts, our balances). Those are not read either.
"""

import json
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Literal, NamedTuple

from pydantic import ValidationError

from connectors.providers import due
from connectors.providers.calls import NOT_UNDERSTOOD
from domain.messages.provider import ProviderEvent
from domain.times import parse_ms

Kind = Literal["http", "due", "zerohash"]
Body = Mapping[str, Any]


class Unreadable(NamedTuple):
    """Why a body says nothing of a conversion."""

    reason: str
    detail: str


class _No(ValueError):  # noqa: N818 - the word of the field
    """Carries the reason from where it is found to the one place that returns it."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read(kind: Kind, provider: str, body: bytes) -> ProviderEvent | Unreadable:
    """Return what a provider says, or why that cannot be known."""
    try:
        said = _READERS[kind](_object(body))
        return ProviderEvent.model_validate({**said, "provider": provider, "via": "webhook"})
    except _No as no:
        return Unreadable(no.reason, str(no))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return Unreadable("invalid", f"{'.'.join(map(str, first['loc']))}: {first['msg']}")


def due_sent_ms(body: bytes) -> int | Unreadable:
    """Return when Due sent an event, this time or for the first time."""
    try:
        event = _object(body)
        return parse_ms(_of(event, "attemptedAt" if "attemptedAt" in event else "occurredAt", str))
    except _No as no:
        return Unreadable(no.reason, str(no))
    except (ValueError, OverflowError) as error:
        return Unreadable("invalid", str(error)[:200])


def _http(body: Body) -> dict[str, Any]:
    """The body has the fields of the word, in minor units, and may have more."""
    fields = ("id", "client_conversion_id", "provider_tx_id", "state", "error", "rate")
    amounts = ("source_amount", "destination_amount", "fee_amount")
    return {name: body.get(name) for name in (*fields, *amounts)} | {"as_of": body.get("at_ms")}


def _due(body: Body) -> dict[str, Any]:
    _expect(body, "type", due.STATUS_CHANGED)
    transfer = _of(body, "data", dict)
    source, destination = _of(transfer, "source", dict), _of(transfer, "destination", dict)
    state = _state(transfer, "status", due.WORDS)
    said = {
        "id": _of(body, "id", str),
        "client_conversion_id": _of(destination if destination.get("memo") else source, "memo", str),
        "provider_tx_id": _of(transfer, "id", str),
        "state": state,
        "error": transfer["status"] if state in ("failed", "cancelled") else None,
        "as_of": _of(body, "occurredAt", str),
    }
    return said | _due_amounts(transfer) if state == "completed" else said


def _due_amounts(transfer: Body) -> dict[str, Any]:
    """Return what was moved, as whoever asks for the transfer reads it."""
    try:
        return due.moved(transfer)._asdict()
    except NOT_UNDERSTOOD as error:
        raise _No(reason="invalid", detail=str(error)[:200]) from error


_ZEROHASH_STATES: Mapping[str, str] = dict.fromkeys(("accepted", "active", "terminated"), "processing")


def _zerohash(body: Body) -> dict[str, Any]:
    trade = _of(body, "trade_id", str)
    return {
        "state": _state(body, "trade_state", _ZEROHASH_STATES),
        "id": f"{trade}/{body['trade_state']}",
        "client_conversion_id": _of(body, "client_trade_id", str),
        "provider_tx_id": trade,
        "as_of": _of(body, "timestamp", int),
    }


_READERS: Mapping[Kind, Callable[[Body], dict[str, Any]]] = {"http": _http, "due": _due, "zerohash": _zerohash}


def _object(body: bytes) -> Body:
    try:
        found = json.loads(body.decode(), parse_float=Decimal, parse_constant=_no_number, object_pairs_hook=_unique)
    except _No:
        raise
    except UnicodeDecodeError as error:
        raise _No(reason="not_utf8", detail=f"byte {error.start} is not UTF-8") from error
    except (ValueError, RecursionError, InvalidOperation) as error:
        raise _No(reason="not_json", detail=str(error)[:200]) from error
    if not isinstance(found, dict):
        raise _No(reason="invalid", detail="the body is no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _No(reason="duplicate_key", detail="a key stands twice")
    return found


def _no_number(text: str) -> Decimal:
    raise _No(reason="not_json", detail=f"{text} is no number")


def _of(body: Body, name: str, kind: type[Any]) -> Any:
    found = body.get(name)
    if not isinstance(found, kind) or isinstance(found, bool):
        raise _No(reason="missing_field" if found is None else "invalid", detail=f"{name} is no {kind.__name__}")
    return found


def _expect(body: Body, name: str, value: str) -> None:
    if body.get(name) != value:
        raise _No(reason="unknown_event", detail=f"{name} is not {value}, and says nothing of a conversion")


def _state(body: Body, name: str, states: Mapping[str, str]) -> str:
    found = _of(body, name, str)
    if found not in states:
        raise _No(reason="unknown_state", detail=f"{name} {found[:64]!r} is none that is known")
    return states[found]
