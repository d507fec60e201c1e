"""Legs as a person types them, what they lead to, and how long the last of them takes to be booked."""

import json
import time
from collections.abc import Callable
from typing import Any

import psycopg
from confluent_kafka import KafkaError, Message, Producer

from app.places import Places
from connectors.clock import now_ms
from connectors.kafka import KafkaSettings
from tests.app.surroundings import Running, until, unused_name
from tests.app.trading import settle

TOPIC = "dealer.transactions"
CENTS = 2_000_000
WITHIN_SECONDS = 1.0
TypeLines = Callable[[Running, list[str]], None]
BOOKED = "SELECT count(*) FROM ledger.tx WHERE template = 'USER_BUYS_USD' AND meta -> 'btc_leg' ->> 'id' = %s"


def legs_of_a_trade(name: str) -> list[str]:
    """Somebody buys dollars for bitcoin at 50,000 USD, as two lines without a key."""
    common = {"created_at": now_ms(), "memo": f"JournalId:{name}"}
    bitcoin = {
        "id": f"b-{name}",
        "direction": "RECEIVE",
        "settlement_currency": "BTC",
        "settlement_amount": CENTS * 20,
        "cents_per_unit": "0.05",
    }
    dollars = {"id": f"u-{name}", "direction": "SEND", "settlement_currency": "USD", "settlement_amount": -CENTS}
    return [json.dumps(leg | common) for leg in (bitcoin, dollars)]


def type_with_ballast(running: Running, lines: list[str]) -> None:
    """Lines as they are typed at `ballast produce`."""
    said = running.ballast("produce", TOPIC, "--json", stdin="\n".join(lines).encode())
    assert {"topic": TOPIC, "sent": len(lines), "refused": 0} == said.json()


def assert_hedged(running: Running, type_lines: TypeLines) -> None:
    """Type the legs of a trade, and see it booked and hedged in `ballast status`."""
    settle(Places(running.dsn, KafkaSettings(running.bootstrap), False))
    before = _status(running)
    type_lines(running, legs_of_a_trade(unused_name("typed")))

    def is_hedged() -> bool:
        status = _status(running)
        return status["trades"] == before["trades"] + 1 and status["exposure_cents"] < before["exposure_cents"]

    until(is_hedged, "the trade and its hedge")
    after = _status(running)
    assert before["liability_cents"] + CENTS == after["liability_cents"]
    assert before["transactions"] < after["transactions"]
    assert before["orders"].get("filled", 0) < after["orders"]["filled"]
    assert before["waiting_legs"]["count"] == after["waiting_legs"]["count"]


def _status(running: Running) -> dict[str, Any]:
    return running.ballast("status", "--json").json()


def seconds_to_book(running: Running) -> float:
    """Type a first leg, and after a moment its partner; returns how long that line took from ack to row."""
    name = unused_name("timed")
    first, second = legs_of_a_trade(name)
    _acknowledged(running.bootstrap, first)
    time.sleep(0.3)
    with psycopg.connect(running.dsn, autocommit=True) as connection:
        assert 0 == number(connection, BOOKED, f"b-{name}")
        _acknowledged(running.bootstrap, second)
        return until(lambda: number(connection, BOOKED, f"b-{name}") == 1, "the booking")


def _acknowledged(bootstrap: str, line: str) -> None:
    """Send a line without a key, and wait until the broker has it."""
    failures: list[KafkaError] = []

    def reported(error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            failures.append(error)

    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
    producer.produce(TOPIC, line.encode(), on_delivery=reported)
    assert (0, []) == (producer.flush(10), failures)


def number(connection: psycopg.Connection[Any], query: str, *values: object) -> int:
    """What a query that counts gives."""
    row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]
    return int(row[0]) if row else 0
