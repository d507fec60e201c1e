"""Silence: streams on which nothing comes do not stall the one on which something does."""

import time
from collections.abc import Iterator

import pytest

from tests.app.surroundings import Running, running_flows
from tests.app.typed import WITHIN_SECONDS, seconds_to_book

pytestmark = [pytest.mark.broker, pytest.mark.postgres]


@pytest.fixture
def silent() -> Iterator[Running]:
    """A worker to which nobody says anything: no exchange, no ticks, no fills."""
    with running_flows(["liability"], {"BALLAST_VENUE__URL": "http://127.0.0.1:9"}) as running:
        yield running


def test_a_line_is_booked_within_a_second_of_silence(silent: Running) -> None:
    """From the broker's acknowledgement to the committed row, while no other topic says a word."""
    seconds_to_book(silent)
    time.sleep(2)
    assert seconds_to_book(silent) < WITHIN_SECONDS
