"""Webhooks over HTTP: what is answered to whom, and that 200 is said only of what Kafka has."""

import asyncio
import json
import socket
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from app.serve.server import serve_webhooks
from app.serve.webhooks import Intake, application
from app.settings import Settings
from connectors.clock import now_ms
from connectors.embedded.broker import embedded_broker
from connectors.kafka.delivery import Delivery
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from connectors.kafka.topics import create_topics
from connectors.providers.webhooks import Kind
from domain.errors import ConfigError
from domain.messages.fields import MESSAGE_BYTES_MAX
from domain.messages.provider import ProviderConfig
from domain.streams.records import RawMessage
from domain.topics import PROVIDER_CONFIG, PROVIDER_EVENTS, quarantine
from tests.app.surroundings import command, ended, environment, open_folder
from tests.canary import CANARY
from tests.connectors.conftest import produce_to
from tests.connectors.kafka.mock_kafka import mock_kafka
from tests.connectors.providers.test_signatures import standard
from tests.connectors.providers.test_webhooks import HTTP
from tests.waiting import PATIENCE_SECONDS, until

SECRET = "of tests"  # noqa: S105
NOW_MS = 1_770_000_000_000
KINDS: dict[str, Kind] = {"p": "http", "bare": "http"}
BODY = json.dumps(HTTP).encode()
UNREADABLE = b'{"id":"evt-10"}'

Kept = list[tuple[str, bytes | None, bytes]]


def _signed(body: bytes = BODY, by: str = SECRET, at_ms: int = NOW_MS, name: str = "msg_1") -> dict[str, str]:
    return standard(by.encode(), body, at_ms, name)


class Inside:
    """The application in this process, over a Kafka that takes what it is told to take."""

    def __init__(self, *, is_there: bool = True, read_seconds: float = 10.0) -> None:
        self.kept: Kept = []
        self.registry = CollectorRegistry()
        secrets = {"p": [SECRET, "new"]}
        kept = self.kept

        async def deliver(topic: str, key: bytes | None, value: bytes) -> bool:
            if is_there:
                kept.append((topic, key, value))
            return is_there

        intake = Intake(KINDS.get, lambda name: secrets.get(name, ()), deliver, lambda: NOW_MS, read_seconds)
        self.app = application(intake, self.registry)

    def post(self, provider: str, body: Any, headers: dict[str, str]) -> httpx.Response:
        """Post a webhook."""

        async def posted() -> httpx.Response:
            async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://test") as client:
                return await client.post(f"/webhooks/{provider}", content=body, headers=headers)

        return asyncio.run(posted())


BAD: dict[str, tuple[str, bytes, dict[str, str], int, str]] = {
    "forged": ("p", BODY, _signed(by="guessed"), 401, "forged"),
    "altered by one byte": ("p", BODY.replace(b"P1", b"P2"), _signed(), 401, "forged"),
    "not signed": ("p", BODY, {}, 401, "forged"),
    "of nobody": ("nobody", BODY, _signed(), 401, "forged"),
    "of one without a secret": ("bare", BODY, _signed(by=""), 401, "forged"),
    "by a secret that was taken out": ("p", BODY, _signed(by="old"), 401, "forged"),
    "old": ("p", BODY, _signed(at_ms=NOW_MS - 301_000), 400, "old"),
    "from the future": ("p", BODY, _signed(at_ms=NOW_MS + 301_000), 400, "early"),
    "huge": ("p", b"x" * (MESSAGE_BYTES_MAX + 1), _signed(b"x" * (MESSAGE_BYTES_MAX + 1)), 413, "large"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_refused(case: str) -> None:
    """Each has its status, says why in a sentence, is counted under its word, and nothing of it reaches Kafka."""
    provider, body, headers, status, outcome = BAD[case]
    inside = Inside()
    answer = inside.post(provider, body, headers)
    assert (status, outcome) == (answer.status_code, answer.json()["outcome"])
    assert answer.json()["text"]
    assert [] == inside.kept
    assert f'ballast_webhooks_total{{outcome="{outcome}"}} 1.0' in generate_latest(inside.registry).decode()


def test_nobody_is_told_who_is_known() -> None:
    """An unknown provider, one without a secret and a wrong signature are answered by the same bytes."""
    answers = {(a.status_code, a.content, *sorted(a.headers.items())) for a in map(_answered, ("nobody", "bare", "p"))}
    assert 1 == len(answers)


def _answered(provider: str) -> httpx.Response:
    return Inside().post(provider, BODY, _signed(by="guessed"))


@pytest.mark.parametrize("secret", [SECRET, "new"])
def test_what_is_accepted(secret: str) -> None:
    """By the old secret or the new one, the word is on provider.events under the conversion's id, twice if it came twice."""
    inside = Inside()
    for _ in range(2):
        assert 200 == inside.post("p", BODY, _signed(by=secret)).status_code
    (topic, key, value), again = inside.kept
    assert ("provider.events", b"c1", (topic, key, value)) == (topic, key, again)
    event = PROVIDER_EVENTS.model.model_validate_json(value)
    assert ("p", "evt-9", "webhook") == (event.provider, event.id, event.via)


@pytest.mark.parametrize("body", [UNREADABLE, b"\xff\x00", BODY.replace(b"1770000000000", b"1"), b""])
def test_what_is_signed_and_unreadable_is_kept(body: bytes) -> None:
    """It is answered 202, and its bytes are on the quarantine topic; so is what happened before there was bitcoin."""
    inside = Inside()
    assert 202 == inside.post("p", body, _signed(body)).status_code
    ((topic, _, value),) = inside.kept
    kept = quarantine("provider.events").model.model_validate_json(value)
    assert ("quarantine.provider.events", body) == (topic, b64decode(kept.raw_base64))


@pytest.mark.parametrize("body", [BODY, UNREADABLE])
def test_without_kafka_nothing_is_promised(body: bytes) -> None:
    """What Kafka has not acknowledged is answered 503, and when to come again."""
    answer = Inside(is_there=False).post("p", body, _signed(body))
    assert (503, "10") == (answer.status_code, answer.headers["retry-after"])


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A body that stops in its middle is answered 408 after the time for it."""

    async def slowly() -> Any:
        yield BODY[:10]
        await asyncio.sleep(PATIENCE_SECONDS)

    answer = Inside(read_seconds=0.05).post("p", slowly(), _signed())
    assert (408, "slow") == (answer.status_code, answer.json()["outcome"])


def test_a_huge_body_is_not_read_to_its_end() -> None:
    """Reading ends with the part that goes beyond the limit."""
    parts: list[int] = []

    async def endless() -> Any:
        while True:
            parts.append(len(parts))
            yield b"x" * 16_384

    assert 413 == Inside().post("p", endless(), _signed()).status_code
    assert 6 >= len(parts)


@pytest.mark.broker
def test_a_delivery_ends_when_the_broker_has_it(broker: str) -> None:
    """What a delivery says is there can be read from the topic."""
    kafka = KafkaSettings(broker)
    create_topics(kafka)
    with Delivery(kafka, 30_000) as delivery:
        assert asyncio.run(delivery.deliver(PROVIDER_EVENTS.name, b"key", b"delivered"))
    assert b"delivered" in _values(kafka, PROVIDER_EVENTS.name)


def test_a_delivery_to_a_broker_that_is_away_comes_to_nothing() -> None:
    """It says so after its time, and the next one after the broker is back is acknowledged."""
    with mock_kafka() as mock, Delivery(KafkaSettings(mock.bootstrap), 300) as delivery:
        mock.create("t", 1)
        mock.down()
        assert not asyncio.run(delivery.deliver("t", None, b"one"))
        mock.up()
        until(lambda: asyncio.run(delivery.deliver("t", None, b"two")), "the broker's return")


def _values(kafka: KafkaSettings, topic: str) -> Sequence[bytes]:
    with closing(Peek(kafka)) as peek:
        return [message.value for _, message in peek.everything(topic)]


CONFIG = json.dumps(json.loads(ProviderConfig.examples[0]) | {"provider": "due"}).encode()


@contextmanager
def _served(folder: Path, bootstrap: str) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    settings = {
        "BALLAST_KAFKA__BOOTSTRAP": bootstrap,
        "BALLAST_PROVIDERS": json.dumps({"due": {"webhook_secrets": [SECRET]}}),
    }
    with (folder / "said.log").open("wb") as log:
        process = subprocess.Popen(
            command("serve", "webhooks", "--port", "0", "--json"),
            cwd=folder,
            env=environment(settings),
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        assert said, (folder / "said.log").read_text()
        yield process, json.loads(said)["url"]
    finally:
        code = ended(process)
        process.stdout.close()
    assert 0 == code


def _post(url: str, body: bytes) -> httpx.Response:
    headers = _signed(body, at_ms=now_ms(), name="msg_2")
    return httpx.post(f"{url}/due", content=body, headers=headers, timeout=PATIENCE_SECONDS)


@pytest.mark.broker
def test_a_process_that_serves() -> None:
    """A webhook that is answered 200 is on its topic; with the broker gone it is 503; SIGTERM ends the process with 0."""
    body = json.dumps(HTTP | {"at_ms": now_ms()}).encode()
    with open_folder() as folder, ExitStack() as stack:
        there = stack.enter_context(ExitStack())
        kafka = KafkaSettings(there.enter_context(embedded_broker(folder / "broker.log")))
        create_topics(kafka)
        produce_to(kafka, PROVIDER_CONFIG.name, CONFIG)
        _, url = stack.enter_context(_served(folder, kafka.bootstrap))
        assert {"is_up": True} == httpx.get(url.replace("/webhooks", "/healthz")).json()
        assert 200 == _post(url, body).status_code
        assert 1 == len(_values(kafka, PROVIDER_EVENTS.name))
        assert _dropped(url).startswith(b"HTTP/1.1 413")
        there.close()
        assert 503 == _post(url, body).status_code


@pytest.mark.broker
def test_what_has_begun_is_answered_before_the_end(broker: str) -> None:
    """A request that is on its way when SIGTERM comes is answered 200."""
    kafka, body = KafkaSettings(broker), json.dumps(HTTP | {"at_ms": now_ms()}).encode()
    create_topics(kafka)
    produce_to(kafka, PROVIDER_CONFIG.name, RawMessage(0, 0, b"due", CONFIG))
    with open_folder() as folder, _served(folder, broker) as (process, url):
        port = httpx.URL(url).port
        assert port is not None
        headers = "".join(f"{name}: {value}\r\n" for name, value in _signed(body, at_ms=now_ms(), name="msg_3").items())
        head = f"POST /webhooks/due HTTP/1.1\r\nhost: x\r\ncontent-length: {len(body)}\r\n{headers}\r\n"
        with socket.create_connection(("127.0.0.1", port)) as line:
            line.sendall(head.encode() + body[:20])
            assert 200 == httpx.get(url.replace("/webhooks", "/healthz")).status_code  # so the head was read
            process.terminate()
            until(lambda: _refuses(port), "the listener's end")
            line.sendall(body[20:])
            assert line.recv(64).startswith(b"HTTP/1.1 200")


def _dropped(url: str) -> bytes:
    """What is said to a body of which a gigabyte is announced, before the connection is closed."""
    port = httpx.URL(url).port
    assert port is not None
    with socket.create_connection(("127.0.0.1", port)) as line:
        line.sendall(b"POST /webhooks/due HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000000\r\n\r\n")
        line.sendall(b"x" * (MESSAGE_BYTES_MAX + 1))
        return b"".join(iter(lambda: line.recv(4096), b""))


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


def test_a_secret_that_cannot_be_one_ends_the_start() -> None:
    """A secret with the prefix of base64 that is none is a sentence which names the setting and not the secret."""
    settings = Settings.model_validate({"providers": {"due": {"webhook_secrets": [f"whsec_{CANARY}?"]}}})
    with pytest.raises(ConfigError, match="webhook_secrets") as caught:
        serve_webhooks(settings, KafkaSettings("127.0.0.1:1"), "127.0.0.1", 0, lambda _: None)
    assert CANARY not in str(caught.value)
