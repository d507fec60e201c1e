"""A process that answers HTTP until SIGTERM or Ctrl-C, and then what it has begun to answer.

Which kind a provider is stands on provider.config, which is read at the start and every few seconds from then on, so that
one that is added is heard without a restart. A provider that is inactive is heard as well: it may tell the end of what it
was asked before.
"""

import asyncio
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from threading import Event, Thread

import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette

from app.reports.metrics import exposed
from app.serve.webhooks import Intake, application
from app.settings import Settings
from connectors.clock import now_ms
from connectors.kafka.delivery import Delivery
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from connectors.providers.signatures import is_secret
from connectors.providers.webhooks import Kind
from connectors.serving import Say, listening, serve, server_of
from domain.errors import AwayError, ConfigError
from domain.messages.provider import ProviderConfig
from domain.topics import PROVIDER_CONFIG
from operators.streams.decode import Refused, parser

KAFKA_TIMEOUT_MS = 5_000
LOOK_SECONDS = 5.0
DRAIN_SECONDS = 15
AT_ONCE_MAX = 256
"""Requests that are answered at the same time; more are told to come again, so that memory is bounded."""

Kinds = Mapping[str, Kind]

log = structlog.get_logger()


def serve_webhooks(settings: Settings, kafka: KafkaSettings, host: str, port: int, say: Say) -> None:
    """Take webhooks in until SIGTERM; `say` is told the port when it is ready. ConfigError when the port cannot be had."""
    secrets = _secrets(settings)
    registry = CollectorRegistry()
    with ExitStack() as stack:
        listener = stack.enter_context(listening(host, port))
        # On a port of its own, and never to those who send webhooks.
        stack.enter_context(exposed(registry, settings.run.metrics_host, settings.run.metrics_port))
        delivery = stack.enter_context(Delivery(kafka, KAFKA_TIMEOUT_MS))
        kinds = dict(read_kinds(kafka))
        for name in sorted(secrets.keys() - kinds.keys()):
            log.warning("webhooks.provider_unknown", provider=name, consequence="refused until provider.config tells of it")
        intake = Intake(kinds.get, lambda name: secrets.get(name, ()), delivery.deliver, now_ms)
        stack.enter_context(_looking(lambda: kinds.update(read_kinds(kafka))))
        asyncio.run(_serve(application(intake, registry), listener, say))


def read_kinds(kafka: KafkaSettings) -> Kinds:
    """Return which kind each provider is, by the newest word on it; what cannot be read is the flow's to refuse."""
    parse, found = parser(ProviderConfig), dict[str, Kind]()
    with closing(Peek(kafka)) as peek:
        for _, message in peek.everything(PROVIDER_CONFIG.name):
            with suppress(Refused):
                config = parse(message.value)
                found[config.provider] = config.kind
    return found


def _secrets(settings: Settings) -> dict[str, tuple[str, ...]]:
    found = {
        name: tuple(secret.get_secret_value() for secret in one.webhook_secrets) for name, one in settings.providers.items()
    }
    for name, secrets in found.items():
        if not all(map(is_secret, secrets)):
            msg = f"one of providers.{name}.webhook_secrets is empty, or begins with whsec_ and is no base64 after that"
            raise ConfigError(msg)
    return found


async def _serve(app: Starlette, listener: socket.socket, say: Say) -> None:
    await serve(server_of(app, AT_ONCE_MAX, DRAIN_SECONDS), listener, say)


@contextmanager
def _looking(look: Callable[[], None]) -> Iterator[None]:
    """Look again and again; while Kafka is away, what was known before holds, and nobody who ends waits for it."""
    stopping = Event()

    def looked() -> None:
        while not stopping.wait(LOOK_SECONDS):
            try:
                look()
            except AwayError as away:
                log.warning("webhooks.kinds_unknown", consequence="providers told of since are not heard", why=str(away))

    Thread(target=looked, name="kinds", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
