"""Lines that a person types: what they do, and how soon."""

import os
import subprocess

import psycopg
import pytest

from tests.app.surroundings import Running, until, unused_name
from tests.app.typed import TOPIC, WITHIN_SECONDS, TypeLines, assert_hedged, number, seconds_to_book, type_with_ballast

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


def _with_kafkas_own(running: Running, lines: list[str]) -> None:
    jars = f"{os.environ['BALLAST_TEST_KAFKA_LIBS']}/*"
    console = ["java", "-cp", jars, "org.apache.kafka.tools.ConsoleProducer"]
    command = [*console, "--bootstrap-server", running.bootstrap, "--topic", TOPIC]
    subprocess.run(command, input="\n".join(lines).encode(), check=True, timeout=60, capture_output=True)


CONSOLES: list[TypeLines] = [type_with_ballast]
if {"BALLAST_TEST_KAFKA", "BALLAST_TEST_KAFKA_LIBS"} <= os.environ.keys():
    CONSOLES.append(_with_kafkas_own)


@pytest.mark.parametrize("type_lines", CONSOLES)
def test_typed_legs_become_a_trade_and_a_hedge(type_lines: TypeLines, running: Running) -> None:
    """Two lines become a trade, a ledger transaction, a liability, and an order that hedges it, as `ballast status` shows."""
    assert_hedged(running, type_lines)


def test_a_bad_line_from_any_console_is_kept(running: Running) -> None:
    """What does not fit goes to quarantine with its bytes, and the worker goes on."""
    before = running.ballast("status", "--json").json()["quarantined"].get(TOPIC, 0)
    line = f"this is not json {unused_name('typed')}"
    said = running.ballast("produce", TOPIC, "--unchecked", stdin=line.encode())
    assert 0 == said.code
    with psycopg.connect(running.dsn, autocommit=True) as connection:
        query = "SELECT count(*) FROM treasury.quarantine WHERE topic = %s AND raw = %s"
        until(lambda: number(connection, query, TOPIC, line.encode()) == 1, "the quarantine")
    assert before + 1 == running.ballast("status", "--json").json()["quarantined"][TOPIC]


def test_a_line_is_booked_within_a_second(running: Running) -> None:
    """From the broker's acknowledgement to the committed row, while the market ticks on."""
    assert max(seconds_to_book(running) for _ in range(3)) < WITHIN_SECONDS
