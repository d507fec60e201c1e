"""`ballast treasury` beside the flow that runs: what people say by command and by SQL is heard, recorded and shown."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from app.reports.treasury.standing import read_treasury
from tests.app.surroundings import Running, running_flows
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

USDC = "system_buffer_usdc"
SET = "UPDATE treasury.buffer_thresholds SET min = min + 1, by_whom = 'ben', reason = 'by SQL' WHERE buffer = %s"


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The flow by itself, and a buffer whose first thresholds were said by command."""
    amounts = ("--min", "10000", "--target", "50000", "--max", "100000", "--batch", "20000")
    with running_flows(["treasury"]) as running:
        said = running.ballast("treasury", "thresholds", USDC, *amounts, "--by", "anna", "--reason", "first")
        assert not said.code, said.err
        until(lambda: buffer_of(running).get("min") == 10_000_000_000, "a level against the first thresholds")
        yield running


def shown(running: Running) -> dict[str, Any]:
    """The status, read here: to begin a command takes longer than what is waited for."""
    return read_treasury(running.dsn, 1800)


def buffer_of(running: Running) -> dict[str, Any]:
    """What is shown of the buffer of USDC; nothing before the flow has told of it."""
    return next((one for one in shown(running)["buffers"] if one["buffer"] == USDC), {})


def test_thresholds_are_heard_by_command_and_by_sql(running: Running) -> None:
    """The level of a buffer is told against what was said last, wherever that was."""
    with psycopg.connect(running.dsn) as connection:
        assert 1 == connection.execute(SET, (USDC,)).rowcount
    until(lambda: buffer_of(running)["min"] == 10_000_000_001, "a level against the thresholds by SQL")
    with psycopg.connect(running.dsn) as connection:
        found = connection.execute("SELECT origin, by_whom FROM treasury.threshold ORDER BY id").fetchall()
    # On a broker that tests share, others have said theirs before.
    assert [("topic", "anna"), ("sql", "ben")] == found[-2:]
