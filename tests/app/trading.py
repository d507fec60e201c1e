"""A treasury in the test's own process: broker, ledger and exchange stay while workers come and go."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from app.places import Places
from app.session import Market, Session, open_session
from app.settings import Data, Kafka, Postgres, Settings, Venue
from app.status import read_status
from tests.app.surroundings import open_database, open_folder, open_server, unused_name

IN_FLIGHT = {"reserved", "sent", "unknown", "open", "pending"}
QUIET_SECONDS = 1.0


@contextmanager
def open_trading(bars_per_second: float = 2.0) -> Iterator[tuple[Session, Path]]:
    """Everything but the workers and the users, and a folder for what they say."""
    with open_folder() as folder, open_server() as server, open_database(server) as dsn:
        settings = Settings(
            data=Data(folder=folder / "data"),
            kafka=Kafka(bootstrap=os.environ.get("BALLAST_TEST_KAFKA")),
            postgres=Postgres(dsn=SecretStr(dsn)),
            venue=Venue(name=unused_name("venue")),
        )
        with open_session(settings, Market(bars_per_second=bars_per_second)) as session:
            yield session, folder


def settle(places: Places, patience_seconds: float = 60.0) -> None:
    """Wait until nothing is in flight, and nothing new is booked for a while."""
    deadline = time.monotonic() + patience_seconds
    before: tuple[object, ...] | None = None
    quiet_since = time.monotonic()
    while time.monotonic() - quiet_since < QUIET_SECONDS:
        status = read_status(places)
        seen = tuple(status[name] for name in ("transactions", "orders", "transfers", "liability_cents"))
        if seen != before or IN_FLIGHT & (status["orders"].keys() | status["transfers"].keys()):
            before, quiet_since = seen, time.monotonic()
        assert time.monotonic() < deadline, f"not quiet after {patience_seconds:.0f} s: {status}"
        time.sleep(0.1)
