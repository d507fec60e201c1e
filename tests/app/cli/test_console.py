"""Lines that a person types, and what they do."""

import json
import os
import subprocess
from typing import Any

import psycopg
import pytest

from connectors.clock import now_ms
from domain.times import datetime_of
from tests.app.surroundings import Running, unused_name
from tests.app.trading import settle
from tests.app.typed import (
    CENTS,
    TOPIC,
    TypeLines,
    assert_hedged,
    is_in_band,
    legs_of_a_trade,
    number,
    places_of,
    type_with_ballast,
)
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


def _with_kafkas_own(running: Running, lines: list[str]) -> None:
    jars = f"{os.environ['BALLAST_TEST_KAFKA_LIBS']}/*"
    console = ["java", "-cp", jars, "org.apache.kafka.tools.ConsoleProducer"]
    command = [*console, "--bootstrap-server", running.bootstrap, "--topic", TOPIC]
    subprocess.run(command, input="\n".join(lines).encode(), check=True, timeout=PATIENCE_SECONDS, capture_output=True)


CONSOLES: list[TypeLines] = [type_with_ballast]
if {"BALLAST_TEST_KAFKA", "BALLAST_TEST_KAFKA_LIBS"} <= os.environ.keys():
    CONSOLES.append(_with_kafkas_own)


@pytest.mark.parametrize("type_lines", CONSOLES)
def test_typed_legs_become_a_trade_and_a_hedge(type_lines: TypeLines, running: Running) -> None:
    """Two lines become a trade, a ledger transaction, a liability, and an order that hedges it, as `ballast status` shows."""
    assert_hedged(running, type_lines)


def test_a_trade_that_a_person_takes_back_is_no_longer_hedged(running: Running) -> None:
    """After `ballast ledger reverse` the trade is not counted, nothing is owed for it, and its short is bought back."""
    settle(places_of(running))
    before = running.ballast("status", "--json").json()
    names = [unused_name("kept"), unused_name("gone")]
    type_with_ballast(running, [line for name in names for line in legs_of_a_trade(name)])

    def trades_more(count: int) -> bool:
        status = running.ballast("status", "--json").json()
        owed = (status["liability_cents"] - before["liability_cents"], status["trades"] - before["trades"])
        return owed == (count * CENTS, count) and is_in_band(running)

    until(lambda: trades_more(2), "two trades and their hedge")
    (gone,) = running.ballast("leg", f"b-{names[1]}", "--json").json()["trades"]
    act = ("reverse", gone["tx_id"], "--effective-at", datetime_of(now_ms()).isoformat(), "--reason", "was refunded")
    assert 0 == running.ballast("ledger", *act).code
    until(lambda: trades_more(1), "one trade and its hedge")


def test_a_bad_line_from_any_console_is_kept(running: Running) -> None:
    """What does not fit goes to quarantine with its bytes, and the worker goes on."""
    settle(places_of(running))  # others may have left such lines on a broker that tests share
    before = running.ballast("status", "--json").json()["quarantined"].get(TOPIC, 0)
    line = f"this is not json {unused_name('typed')}"
    said = running.ballast("produce", TOPIC, "--unchecked", stdin=line.encode())
    assert 0 == said.code
    with psycopg.connect(running.dsn, autocommit=True) as connection:
        query = "SELECT count(*) FROM treasury.quarantine WHERE topic = %s AND raw = %s"
        until(lambda: number(connection, query, TOPIC, line.encode()) == 1, "the quarantine")
    assert before + 1 == running.ballast("status", "--json").json()["quarantined"][TOPIC]


def typed(running: Running, topic: str, **fields: Any) -> None:
    """Type a line about the running venue, as of now."""
    line = json.dumps({"venue": venue_of(running), "as_of": now_ms()} | fields)
    assert 0 == running.ballast("produce", topic, stdin=line.encode()).code


def venue_of(running: Running) -> str:
    """The venue that it hedges at."""
    books: dict[str, dict[str, str]] = json.loads(running.settings["BALLAST_BOOKS"])
    return books["main"]["venue"]


def alerted(running: Running, subject: str, named: str) -> bool:
    """Whether an alert of this subject names something."""
    alerts = running.ballast("alerts", "--json").json()["alerts"]
    return any(alert["subject"] == subject and named in alert["text"] for alert in alerts)


def test_a_poisoned_fact_is_forgotten_and_hedging_goes_on(running: Running) -> None:
    """Pockets that are typed with a sequence far ahead hide all true ones, until a person says that they are wrong."""
    venue, why = venue_of(running), unused_name("why")
    pockets = {"trading_equity_sats": 1, "trading_used_sats": 0, "funding_sats": 1, "sequence": 999_999_999}
    typed(running, "venue.balances", **pockets)
    said = running.ballast("correct", "venue.balances", venue, "--why", why, "--by", "anna", "--json")
    assert {"topic": "facts.corrections", "sent": 1, "refused": 0} == said.json()
    until(lambda: alerted(running, "corrected", why), "the word that it was forgotten")
    assert_hedged(running, type_with_ballast)


def test_a_fill_of_nobody_moves_no_position(running: Running) -> None:
    """It is in suspense, with an alert; the word of its order moves it on, and one that was made up shows in the position."""
    name = unused_name("fill")
    typed(running, "venue.fills", id=name, client_order_id=name, contracts=-5, price_usd="50000", sequence=1)

    def moved(template: str) -> bool:
        with psycopg.connect(running.dsn) as connection:
            query = "SELECT count(*) FROM ledger.tx WHERE template = %s AND meta ->> 'event_id' = %s"
            return number(connection, query, template, name) == 1

    until(lambda: alerted(running, "fill_of_nobody", name), "the alert")
    assert (True, False) == (moved("FILL_SOLD"), moved("DECREASE_EXCHANGE_POSITION"))
    assert -50_000 == running.ballast("status", "--json").json()["suspense_cents"]
    typed(running, "venue.orders", client_order_id=name, decision_id="by hand", state="filled")
    until(lambda: moved("DECREASE_EXCHANGE_POSITION"), "the position")
    assert 0 == running.ballast("status", "--json").json()["suspense_cents"]
    until(
        lambda: alerted(running, "position_not_of_fills", venue_of(running)), "the word that the exchange has no such fill"
    )
