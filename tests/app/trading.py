"""A treasury in the test's own process: broker, ledger and exchange stay while workers come and go."""

import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import SecretStr

from app.demo.settle import look, wait_until_settled
from app.places.places import Places
from app.settings import Data, HedgeBook, Kafka, Postgres, Settings, Venue
from app.workers.session import Market, Session, open_session
from connectors.kafka.peek import Peek
from sinks.postgres import connect
from tests.app.surroundings import open_database, open_folder, open_server, unused_name
from tests.waiting import PATIENCE_SECONDS


@contextmanager
def open_trading(bars_per_second: float = 2.0) -> Iterator[tuple[Session, Path]]:
    """Everything but the workers and the users, and a folder for what they say."""
    with open_folder() as folder, open_server() as server, open_database(server) as dsn:
        venue = unused_name("venue")
        settings = Settings(
            data=Data(folder=folder / "data"),
            kafka=Kafka(bootstrap=os.environ.get("BALLAST_TEST_KAFKA")),
            postgres=Postgres(dsn=SecretStr(dsn)),
            venues={venue: Venue()},
            books={"main": HedgeBook(venue=venue)},
        )
        with open_session(settings, Market(bars_per_second=bars_per_second)) as session:
            yield session, folder


def settle(places: Places) -> None:
    """Wait until nothing is on its way any more, as the demo does, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with closing(Peek(places.kafka)) as peek, connect(places.dsn, "reader", "settling") as connection:
        waits_for = wait_until_settled(
            lambda: look(connection, peek, 0, ["everything"]), lambda: time.monotonic() < deadline, lambda _: None
        )
    assert waits_for is None, f"not settled after {PATIENCE_SECONDS:.0f} s; waits for {waits_for}"
