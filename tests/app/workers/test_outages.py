"""An outage is waited out: said in a line, and gone on from when it is over."""

import os
from collections.abc import Callable
from contextlib import ExitStack

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr
from structlog.testing import capture_logs

from app.settings import Data, HedgeBook, Kafka, Postgres, Settings, Venue
from app.workers.session import Market, Session, open_session
from app.workers.supervisor import Group
from connectors.embedded.postgres import embedded_postgres
from connectors.kafka.source import client_options
from tests.app.surroundings import open_folder, running_flows, unused_name, venue_named
from tests.app.typed import BOOKED, TOPIC, legs_of_a_trade, number
from tests.canary import CANARY
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

NOBODY = unused_name("nobody")


def test_a_database_that_is_away_is_waited_for() -> None:
    """A trade that is typed meanwhile is booked afterwards; nobody has to come, and the password is in no log."""
    with open_folder() as folder, ExitStack() as server:
        dsn = make_conninfo(server.enter_context(embedded_postgres(folder / "postgres")), password=CANARY)
        settings = Settings(
            data=Data(folder=folder / "data"),
            kafka=Kafka(bootstrap=os.environ.get("BALLAST_TEST_KAFKA")),
            postgres=Postgres(dsn=SecretStr(dsn)),
            venues={NOBODY: Venue(url="http://127.0.0.1:9")},
            books={"main": HedgeBook(venue=NOBODY)},
        )
        with open_session(settings, Market()) as session, capture_logs() as logs, ExitStack() as ended:
            group = Group("liability", 1, session.env, folder / "worker.log")
            group.start()
            ended.callback(group.stop)
            until(watching(group, _booking(session, dsn)), "the first booking")
            server.close()
            until(watching(group, lambda: any(line["event"] == "worker.waits" for line in logs)), "the word that it waits")
            with embedded_postgres(folder / "postgres"):
                until(watching(group, _booking(session, dsn)), "the second booking")
                group.stop()
        said = (folder / "worker.log").read_text()
    assert {"Postgres"} == {line["away"] for line in logs if line["event"] == "worker.waits"}
    assert "ballast: Postgres does not answer: " in said
    assert CANARY not in said + repr(logs)


def test_an_exchange_that_does_not_answer_is_told_of() -> None:
    """In the log, and where people look for alerts, with its name and the setting; the flow goes on."""
    name = unused_name("silent")
    with running_flows(["execution"], venue_named(name, url="http://127.0.0.1:9")) as running:

        def told() -> list[str]:
            alerts = running.ballast("alerts", "--json").json()["alerts"]
            return [alert["text"] for alert in alerts if f"venues.{name}.url" in alert["text"]]

        until(lambda: bool(told()), "the alert")
        assert "venue.does_not_answer" in running.said()
        assert "worker.fell" not in running.said()


def watching(group: Group, is_so: Callable[[], bool]) -> Callable[[], bool]:
    """A question that is asked while the group is watched over."""

    def look() -> bool:
        group.watch()
        return is_so()

    return look


def _booking(session: Session, dsn: str) -> Callable[[], bool]:
    """Type a trade, and ask whether it is booked."""
    name = unused_name("outage")
    producer = Producer(client_options(session.places.kafka))
    for line in legs_of_a_trade(name):
        producer.produce(TOPIC, line.encode())
    assert 0 == producer.flush(PATIENCE_SECONDS)

    def is_booked() -> bool:
        with psycopg.connect(dsn, autocommit=True) as connection:
            return number(connection, BOOKED, f"b-{name}") == 1

    return is_booked
