"""Silence: streams on which nothing comes do not stall the one on which something does."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from app.reports.gauges import STEPS, come_to_ms, read_gauges
from connectors.clock import now_ms
from connectors.kafka.peek import Peek, counts
from flows import liability
from sinks.postgres import connect
from tests.app.surroundings import Running, running_flows, unused_name, venue_named
from tests.app.typed import BOOKED, TOPIC, legs_of_a_trade, number, places_of, type_with_ballast
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.fixture
def silent() -> Iterator[Running]:
    """A worker to which nobody says anything: no exchange, no ticks, no fills."""
    with running_flows(["liability"], venue_named("nobody", url="http://127.0.0.1:9")) as running:
        yield running


def test_a_line_is_booked_in_silence(silent: Running) -> None:
    """The legs of a trade, typed one by one, are booked without a word on any other topic, also after a silence."""
    heard = _heard(silent)
    for turn in (1, 2):
        name = unused_name("silent")
        for line in legs_of_a_trade(name):
            type_with_ballast(silent, [line])
        with psycopg.connect(silent.dsn, autocommit=True) as connection:
            until(lambda c=connection, leg=f"b-{name}": number(c, BOOKED, leg) == 1, "the booking")  # type: ignore[misc]
        _let_time_pass(silent)
        assert heard | {TOPIC: heard.get(TOPIC, 0) + 2 * turn} == _heard(silent)


def _heard(running: Running) -> dict[str, int]:
    """How much has come so far on the topics that the flow reads."""
    inputs = {topic.name for topic in liability.INPUTS}
    with closing(Peek(places_of(running).kafka)) as peek:
        return {topic: n for topic, n in counts(peek.tails()).items() if topic in inputs}


def _let_time_pass(running: Running) -> None:
    """Wait until all steps have passed this moment, which they hear of from nobody."""
    since_ms = now_ms()
    with connect(running.dsn, "reader", "test") as connection:

        def has_passed() -> bool:
            come = come_to_ms(read_gauges(connection))
            return all(come.get(step, 0) > since_ms for step in STEPS["liability"])

        until(has_passed, "all steps to pass a moment in which nothing came")
