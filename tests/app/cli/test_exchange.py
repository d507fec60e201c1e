"""The simulated exchange as a command: it says where it is and how workers find it, and ends when it is told to."""

import json
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.settings import Settings, Venue
from app.workers.session import Market, exchange_options
from connectors.venue.simulated.client import HttpExchange
from tests.app.conftest import Ballast
from tests.app.surroundings import assert_one_sentence, command, ended, environment

TWO = Settings(venues={"north": Venue(), "south": Venue()}, books={})


@contextmanager
def told(folder: Path, lines: int, *options: str) -> Iterator[str]:
    """Run an exchange, and give the lines that it says when it is ready; SIGTERM has to end it with code 0."""
    with (folder / "said.err").open("wb") as err:
        process = subprocess.Popen(
            command("exchange", *options), cwd=folder, env=environment({}), stdout=subprocess.PIPE, stderr=err
        )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield b"".join(process.stdout.readline() for _ in range(lines)).decode()
        finally:
            code = ended(process)
    assert 0 == code


def position_at(url: str) -> int:
    """Ask for our position there."""
    with closing(HttpExchange(url)) as exchange:
        return exchange.position().contracts


def test_it_says_how_workers_find_it(tmp_path: Path) -> None:
    """What it says can be copied into the settings, and the exchange answers there."""
    with told(tmp_path, 4, "--port", "0") as text:
        first, settings = text.split("\n", 1)
        assert "since kafka.bootstrap is not set" in first
        assert 0 == position_at(tomllib.loads(settings)["venues"]["simulated"]["url"])


def test_what_is_taken_is_one_sentence(ballast: Ballast, tmp_path: Path) -> None:
    """A port that somebody has, and an account that another exchange keeps; the one that has them goes on."""
    with told(tmp_path, 1, "--port", "0", "--json") as line:
        url = json.loads(line)["url"]
        port = url.rpartition(":")[2]
        assert_one_sentence(ballast("exchange", "--port", port), port, "--port")
        assert_one_sentence(ballast("exchange", "--port", "0"), "exchange-simulated.sqlite3", "another one")
        assert 0 == position_at(url)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("nobody",), ("nobody", "simulated")),
        (("--prices", "missing.csv"), ("missing.csv",)),
        (("--prices", "empty.csv"), ("empty.csv", "no bars")),
    ],
)
def test_what_cannot_be_played_is_one_sentence(
    ballast: Ballast, tmp_path: Path, typed: tuple[str, ...], words: tuple[str, ...]
) -> None:
    """A venue that the settings do not have, and prices that are not there."""
    (tmp_path / "empty.csv").touch()
    assert_one_sentence(ballast("exchange", *typed), *words)


def test_a_broker_that_does_not_answer_is_named(ballast: Ballast) -> None:
    """Prices that nobody can hear would be lost without a word."""
    said = ballast("exchange", "--port", "0", settings={"BALLAST_KAFKA__BOOTSTRAP": "127.0.0.1:1"})
    assert_one_sentence(said, "127.0.0.1:1", "kafka.bootstrap")


@pytest.mark.parametrize(("venue", "tells_prices"), [("north", True), ("south", False)])
def test_the_first_venue_makes_the_price(venue: str, tells_prices: bool) -> None:
    """Two paths on one topic would be nobody's price; each venue has a truth of its own."""
    options = exchange_options(TWO, venue, Market(), "kafka:9092")
    assert tells_prices == ("kafka:9092" in options)
    assert str(TWO.data.folder / f"exchange-{venue}.sqlite3") in options
