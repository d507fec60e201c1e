"""Webhooks of providers: `POST /webhooks/{provider}`, answered 200 when Kafka has what it says, and not before.

| answer | when | what becomes of it |
|---|---|---|
| 200 | the signature is right, and Kafka has acknowledged the word | it is on provider.events; twice if it came twice |
| 202 | it is signed, and says nothing that can be read | its bytes are on the quarantine topic of provider.events |
| 400 | it is signed, and was sent more than five minutes ago or ahead | nothing |
| 401 | the signature is wrong, or nobody by that name has a secret with us | nothing |
| 408 | the body did not come within the time for it | nothing |
| 413 | the body has more than 64 KiB, which is seen while it is read | nothing |
| 503 | Kafka does not answer in time | nothing that is known of; the provider sends it again |

An unknown provider is answered in the words and after the work of a wrong signature: it is judged, too, by a secret that
nobody else has. Nothing of a body is looked at before its signature is found right. A webhook that is repeated is passed
on once more, and the flow knows it by its id.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from secrets import token_urlsafe
from typing import NamedTuple

import structlog
from prometheus_client import CollectorRegistry, Counter
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.clock import Clock
from connectors.providers.signatures import Refusal, verify
from connectors.providers.webhooks import Kind, Unreadable, read
from domain.messages.fields import MESSAGE_BYTES_MAX
from domain.messages.ops import Quarantined
from domain.messages.provider import ProviderEvent
from domain.topics import PROVIDER_EVENTS, quarantine
from operators.streams.decode import DETAIL_MAX, Refused, check_time, parser

RETRY_AFTER_SECONDS = 10

Deliver = Callable[[str, bytes | None, bytes], Awaitable[bool]]
"""Puts a message on a topic under a key, and says whether the broker has acknowledged it."""

log = structlog.get_logger()


class Answer(NamedTuple):
    """A status, the word that it is counted by, and a sentence."""

    status: int
    outcome: str
    text: str


ACCEPTED = Answer(200, "accepted", "it is with us")
KEPT = Answer(202, "unreadable", "it is signed, and could not be read; it is kept for a person to look at")
REFUSALS: dict[Refusal, Answer] = {
    "forged": Answer(401, "forged", "the signature is not right"),
    "old": Answer(400, "old", "it was sent more than five minutes ago; send it anew, with a time and a signature of now"),
    "early": Answer(400, "early", "it was sent more than five minutes ahead of our clock"),
}
SLOW = Answer(408, "slow", "the body did not come in time")
LARGE = Answer(413, "large", f"the body has more than {MESSAGE_BYTES_MAX} bytes")
LEFT = Answer(400, "left", "the body did not come to its end")
AWAY = Answer(503, "away", "it could not be kept; send it again")

_parse = parser(ProviderEvent)


@dataclass(frozen=True)
class Intake:
    """What webhooks are judged by, and where they go.

    `kind_of` and `secrets_of` know providers by their names: nobody has no kind, and no secrets.
    """

    kind_of: Callable[[str], Kind | None]
    secrets_of: Callable[[str], Sequence[str]]
    deliver: Deliver
    now_ms: Clock
    read_seconds: float = 10.0
    nobodys: Sequence[str] = field(default_factory=lambda: (token_urlsafe(32),), repr=False)

    async def receive(self, request: Request) -> Answer:
        """Take one webhook in."""
        body = await _read(request, self.read_seconds)
        if isinstance(body, Answer):
            return body
        provider = request.path_params["provider"]
        kind, secrets = self.kind_of(provider), self.secrets_of(provider)
        known = kind is not None and bool(secrets)
        refusal = verify(kind or "http", request.headers, body, secrets if known else self.nobodys, self.now_ms())
        if kind is None or not known or refusal:
            return REFUSALS[refusal or "forged"]
        return await self._keep(kind, provider, body)

    async def _keep(self, kind: Kind, provider: str, body: bytes) -> Answer:
        now_ms = self.now_ms()
        said = _readable(read(kind, provider, body), now_ms)
        if isinstance(said, Unreadable):
            kept = _quarantined(said, provider, body, now_ms)
            there = await self.deliver(quarantine(PROVIDER_EVENTS.name).name, None, kept.model_dump_json().encode())
            return KEPT if there else AWAY
        key = PROVIDER_EVENTS.key_of(said)
        return ACCEPTED if await self.deliver(PROVIDER_EVENTS.name, key, said.model_dump_json().encode()) else AWAY


def application(intake: Intake, registry: CollectorRegistry) -> Starlette:
    """Return the application; what became of webhooks is counted in the registry."""
    counted = Counter("ballast_webhooks", "webhooks by what became of them", ["outcome"], registry=registry)

    async def webhooks(request: Request) -> Response:
        answer = await intake.receive(request)
        counted.labels(answer.outcome).inc()
        if answer in (KEPT, AWAY):
            log.warning("webhook." + answer.outcome, provider=request.path_params["provider"])
        return _response(answer)

    async def health(_: Request) -> Response:
        return JSONResponse({"is_up": True})

    return Starlette(routes=[Route("/webhooks/{provider}", webhooks, methods=["POST"]), Route("/healthz", health)])


async def _read(request: Request, seconds: float) -> bytes | Answer:
    """Return the body, or the answer to one that is too large, too slow or broken off."""
    body = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for part in request.stream():
                body += part
                if len(body) > MESSAGE_BYTES_MAX:
                    return LARGE
    except TimeoutError:
        return SLOW
    except ClientDisconnect:
        return LEFT
    return bytes(body)


def _readable(said: ProviderEvent | Unreadable, now_ms: int) -> ProviderEvent | Unreadable:
    """Return what is said if the flow, too, will be able to read it."""
    if isinstance(said, Unreadable):
        return said
    try:
        check_time(_parse(said.model_dump_json().encode()), now_ms)
    except Refused as refused:
        return Unreadable(refused.reason, str(refused))
    return said


def _quarantined(why: Unreadable, provider: str, body: bytes, now_ms: int) -> Quarantined:
    """Return the message that keeps a body; it has no place on the topic, and so it says that of the first."""
    detail = f"a webhook of {provider}: {why.detail}"[:DETAIL_MAX]
    raw = b64encode(body).decode()
    return Quarantined(
        reason=why.reason,
        detail=detail,
        topic=PROVIDER_EVENTS.name,
        partition=0,
        offset=0,
        raw_base64=raw,
        as_of=now_ms,
    )


def _response(answer: Answer) -> Response:
    headers = {"retry-after": str(RETRY_AFTER_SECONDS)} if answer is AWAY else {}
    if answer in (SLOW, LARGE, LEFT):
        headers["connection"] = "close"
    return JSONResponse({"outcome": answer.outcome, "text": answer.text}, answer.status, headers)
