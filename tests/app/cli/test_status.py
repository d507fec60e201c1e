"""`ballast status`: what people and programs get, once and again and again, and its exit code where nothing runs."""

import json
import signal
import subprocess

import pytest

from app.places.places import prepare
from connectors.clock import now_ms
from connectors.kafka.source import KafkaSettings
from domain.streams.gauges import Gauge
from tests.app.conftest import Ballast
from tests.app.gauges import say
from tests.app.surroundings import command, ended, environment

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.fixture
def here(broker: str, database: str) -> dict[str, str]:
    """Settings that name a broker and a database over which nothing has run yet."""
    prepare(database, KafkaSettings(broker))
    return {"BALLAST_KAFKA__BOOTSTRAP": broker, "BALLAST_POSTGRES__DSN": database}


def test_where_nothing_runs_it_has_a_code_of_its_own(ballast: Ballast, here: dict[str, str]) -> None:
    """The numbers are shown all the same, and a sentence says that they are old; with a flow that speaks the code is 0."""
    idle = ballast("status", settings=here)
    assert (3, 1) == (idle.code, len(idle.err.splitlines()))
    assert idle.err.startswith("ballast: nothing runs")
    assert "flow              liability was never heard of" in idle.out
    assert 3 == ballast("status", "--json", settings=here).code
    say(here["BALLAST_POSTGRES__DSN"], Gauge("decide", "desk-00", "watermark_ms", now_ms()))
    busy = ballast("status", settings=here)
    assert (0, "") == (busy.code, busy.err)
    assert "hedging runs, " in busy.out


def test_it_is_watched_until_ctrl_c(here: dict[str, str]) -> None:
    """A program gets one JSON object per look; Ctrl-C is an ordinary end."""
    typed = command("status", "--watch", "--every", "0.1", "--json")
    process = subprocess.Popen(typed, env=environment(here), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
        code = ended(process, signal.SIGINT)
        assert (0, b"") == (code, process.stderr.read())
    assert first["as_of"] < second["as_of"]
