"""`ballast quarantine`: what could not be used is shown with its bytes, and sent again once it can be."""

import json

import pytest

from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings
from domain.errors import Rejection
from domain.topics import MARKET_TICKS
from sinks.migrations import migrate
from sinks.quarantine import QuarantineSink
from tests.app.conftest import Ballast
from tests.app.surroundings import unused_name

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

TOPIC = MARKET_TICKS.name


def kept(dsn: str, *raws: bytes) -> None:
    """Put messages into quarantine, at offsets from 7 on."""
    part = QuarantineSink(dsn).build_part("quarantine", "quarantine-0", None)
    why = ("invalid", "it was not usable then")
    part.write_batch([Rejection(*why, TOPIC, 0, n, b"k", raw) for n, raw in enumerate(raws, 7)])
    part.close()


def test_what_can_be_used_now_is_sent_again(ballast: Ballast, broker: str, database: str) -> None:
    """The good one goes to its topic with its bytes, the other is named with today's reason; a dry run sends nothing."""
    source = unused_name("btc")
    good = json.dumps({"instrument": source, "price_usd": "40000", "as_of": "2024-05-01T12:00:00Z"}).encode()
    migrate(database)
    kept(database, good, b"\xffno tick")
    settings = {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": database}
    ballast("migrate", settings=settings)
    tried = ballast("quarantine", "replay", TOPIC, "--dry-run", "--json", settings=settings)
    assert (1, {"topic": TOPIC, "usable": 1, "sent": 0, "refused": 1}) == (tried.code, tried.json())
    assert f"{TOPIC} 0 8 was not sent: not_utf8" in tried.err
    sent = ballast("quarantine", "replay", TOPIC, "--offset", "7", "--json", settings=settings)
    assert (0, 1) == (sent.code, sent.json()["sent"])
    peek = Peek(KafkaSettings(broker))
    try:
        assert [good] == [message.value for _, message in peek.everything(TOPIC) if source.encode() in message.value]
    finally:
        peek.close()


def test_what_is_kept_is_shown(ballast: Ballast, database: str) -> None:
    """The list has reason and place, and one message all of its bytes, also those that are no text."""
    migrate(database)
    kept(database, b"\xffno tick")
    settings = {"BALLAST_POSTGRES__DSN": database}
    report = ballast("quarantine", "list", "--json", settings=settings).json()
    assert ({TOPIC: 1}, [(0, 7, "invalid")]) == (
        report["counts"],
        [(one["partition"], one["offset"], one["reason"]) for one in report["messages"]],
    )
    (row,) = ballast("quarantine", "show", TOPIC, "0", "7", "--json", settings=settings).json()
    assert ("k", "\\xffno tick") == (row["key"], row["raw"])
    assert "it was not usable then" in ballast("quarantine", "show", TOPIC, "0", "7", settings=settings).out
    assert "invalid" in ballast("quarantine", "list", "--topic", TOPIC, settings=settings).out
    nothing = ballast("quarantine", "show", TOPIC, "0", "8", settings=settings)
    assert (1, "") == (nothing.code, nothing.out)
