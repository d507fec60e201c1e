"""What a provider tells by a webhook and what it says when it is asked are one thing, from its signature to the books."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from connectors.clock import now_ms
from connectors.embedded.processes import free_port
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.messages.fields import Message
from domain.messages.provider import ProviderConfig, ProviderEvent
from domain.messages.treasury import BufferFlow, BufferName, BufferThresholds
from domain.streams.records import RawMessage
from domain.topics import PROVIDER_EVENTS, TOPIC_OF
from domain.treasury.worth import CURRENCY_OF, MICROS_PER_UNIT
from operators.streams.publish import encode
from tests.app.surroundings import command, ended, environment, running_flows
from tests.connectors.conftest import produce_to
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

OWN = json.dumps({"sim": {"key": "us", "secret": "asked", "webhook_secrets": ["told"]}})
WINDOWS = {"BALLAST_TREASURY__WINDOW_SECONDS": "4", "BALLAST_TREASURY__LATENESS_SECONDS": "1"}


@contextmanager
def _beside(folder: Path, settings: dict[str, str], *typed: str) -> Iterator[dict[str, Any]]:
    """A command that lasts, and what it says when it is ready; SIGTERM has to end it with code 0."""
    with (folder / f"{typed[0]}.log").open("wb") as log:
        process = subprocess.Popen(
            command(*typed, "--json"), cwd=folder, env=environment(settings), stdout=subprocess.PIPE, stderr=log
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            said = process.stdout.readline()
            assert said, (folder / f"{typed[0]}.log").read_text()
            yield json.loads(said)
        finally:
            code = ended(process)
    assert 0 == code


def _say(kafka: KafkaSettings, *messages: Message) -> None:
    for message in messages:
        topic = TOPIC_OF[type(message)]
        produce_to(kafka, topic.name, RawMessage(0, 0, topic.key_of(message), encode(message)))


def _flow(name: str, buffer: BufferName, dollars: int) -> BufferFlow:
    amount = dollars * 1_000_000 // MICROS_PER_UNIT[CURRENCY_OF[buffer]]
    return BufferFlow(id=name, buffer=buffer, amount=amount, cause="funding", effective_at=now_ms())


def _kept(buffer: BufferName) -> BufferThresholds:
    unit = 1_000_000 // MICROS_PER_UNIT[CURRENCY_OF[buffer]]
    low, target, high = 10_000 * unit, 50_000 * unit, 200_000 * unit
    told = {"min": low, "target": target, "max": high, "batch": low}
    return BufferThresholds(buffer=buffer, **told, by="anna", reason="a test", as_of=now_ms())


def _config(port: int) -> ProviderConfig:
    told = json.loads(ProviderConfig.examples[0])
    return ProviderConfig.model_validate_json(json.dumps(told | {"provider": "sim", "url": f"http://127.0.0.1:{port}"}))


def _vias(kafka: KafkaSettings) -> set[str]:
    """The ways in which the end of a conversion is on provider.events."""
    with closing(Peek(kafka)) as peek:
        words = [ProviderEvent.model_validate_json(message.value) for _, message in peek.everything(PROVIDER_EVENTS.name)]
    return {word.via for word in words if word.state == "completed"}


def _rows(dsn: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(dsn) as connection:
        return connection.execute(statement.encode()).fetchall()


def test_a_conversion_that_is_heard_both_ways_is_booked_once() -> None:
    """A buffer is filled up by a provider that posts signed webhooks and is asked as well: one job, one posting."""
    port = free_port()
    # On a broker of its own: what is counted here is all that providers and customers say.
    with running_flows(["treasury"], {"BALLAST_PROVIDERS": OWN, **WINDOWS}, broker=None) as running:
        kafka, rows = KafkaSettings(running.bootstrap), partial(_rows, running.dsn)
        _say(kafka, _config(port), _kept("system_buffer_usdc"), _kept("system_buffer_fiat"))
        here = {**running.settings, "BALLAST_KAFKA__BOOTSTRAP": running.bootstrap}
        with _beside(running.folder, here, "serve", "webhooks", "--port", "0") as served:
            to = ("--port", str(port), "--webhook-url", f"{served['url']}/sim", "--terms", '{"eta_ms": 100}')
            with _beside(running.folder, here, "provider", "sim", *to):
                _say(kafka, _flow("f1", "system_buffer_fiat", 150_000), _flow("f2", "system_buffer_usdc", 8_000))
                until(lambda: {"poll", "webhook"} == _vias(kafka), "the end of the conversion in both ways", 0.2)
        _say(kafka, _flow("f3", "system_buffer_fiat", 1))
        flows = "SELECT count(*) FROM ledger.tx WHERE template = 'BUFFER_FLOW'"
        until(lambda: [(3,)] == rows(flows), "what came after both words, in the books", 0.2)
        assert [("completed", True, False)] == rows("SELECT state, is_booked, is_late FROM treasury.v_conversion_jobs")
        assert [(1,)] == rows("SELECT count(*) FROM ledger.tx WHERE template = 'CONVERSION'")
        assert [(1, 0)] == rows("SELECT successes, failures FROM treasury.v_provider_health")
        assert [] == rows("SELECT subject FROM treasury.alert WHERE subject IN ('contradiction', 'paid_twice')")
