"""The archive flow as it runs: killed in the middle of its work, beside a broker that begins again, and while users trade."""

import os
import random  # noqa: TID251 - seeded
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
from pydantic import SecretStr

from app.demo.crowd import CrowdThread
from app.reports.audit.judge import audit_folder
from app.settings import Archive, Data, Kafka, Postgres, Settings
from app.workers.session import Session, open_session
from app.workers.supervisor import Group
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from domain.topics import BY_NAME
from sinks.archive.lives import lives_there
from sinks.archive.moments import moments
from sinks.archive.reading import as_snapshot
from sinks.migrations import migrate
from tests.app.surroundings import ended, open_broker, open_database, open_folder, open_server
from tests.app.trading import open_trading, settle
from tests.chaos.kill_loop import start_worker
from tests.connectors.conftest import produce_to
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

KILLS = int(os.environ.get("BALLAST_TEST_KILLS", "5"))
SEED = 1
MESSAGES = 200
"""How many are put on topics in each life of the flow."""

SPREAD = [("dealer.transactions", 0), ("dealer.transactions", 3), ("alerts", 0), ("legs.refused", 0)]


@contextmanager
def quiet(folder: Path, dsn: str, bootstrap: str) -> Iterator[Session]:
    """A broker and a ledger for which nothing runs."""
    settings = Settings(
        data=Data(folder=folder / "data"),
        kafka=Kafka(bootstrap=bootstrap),
        postgres=Postgres(dsn=SecretStr(dsn)),
        archive=Archive(folder=folder / "archive", seconds=1),
    )
    with open_session(settings, None) as session:
        yield session


def kept(folder: Path) -> Sequence[tuple[Any, ...]]:
    """The messages of the newest life of each topic."""
    newest = [lives_there(topic)[-1] for topic in (folder / "topics").glob("*")]
    files = [str(path) for life in newest for path in life.rglob("*.parquet")]
    query = 'SELECT topic, partition, "offset", at_ms, key, value FROM read_parquet(?) ORDER BY topic, partition, "offset"'
    return duckdb.execute(query, [files]).fetchall() if files else []


def on_topics(session: Session) -> Sequence[tuple[Any, ...]]:
    """What the broker has."""
    with closing(Peek(session.places.kafka)) as peek:
        return sorted((*key, *message) for topic in BY_NAME for key, message in peek.everything(topic))


def put(session: Session, life: int) -> None:
    """Put messages on several partitions."""
    for number, (topic, partition) in enumerate(SPREAD):
        produce_to(
            session.places.kafka, topic, *(b"%d %d %d" % (life, number, n) for n in range(MESSAGES)), partition=partition
        )


@pytest.mark.crash
@pytest.mark.timeout(1800 + 60 * KILLS)
def test_every_offset_is_kept_once_whenever_it_is_killed() -> None:
    """Killed at random moments while messages come; the last one catches up, ends at SIGTERM, and the archive has byte by byte
    what the broker has."""
    dice = random.Random(SEED)
    with open_folder() as folder, open_broker() as bootstrap, open_server() as server, open_database(server) as dsn:
        migrate(dsn)
        with quiet(folder, dsn, bootstrap) as session:
            for life in range(KILLS):
                before = len(kept(folder / "archive"))
                worker = start_worker(session, folder / "worker.log", "archive")
                put(session, life)
                until(lambda b=before, w=worker: w.poll() is not None or len(kept(folder / "archive")) > b, "more")  # type: ignore[misc]
                assert worker.poll() is None, (folder / "worker.log").read_text()
                put(session, life)
                time.sleep(dice.uniform(0, 1.2))
                worker.send_signal(signal.SIGKILL)
                worker.wait()
            last = start_worker(session, folder / "worker.log", "archive")
            there = on_topics(session)
            until(lambda: len(kept(folder / "archive")) >= len(there), "the rest")
            assert 0 == ended(last), (folder / "worker.log").read_text()
            assert there == kept(folder / "archive")
            assert 2 * KILLS * MESSAGES * len(SPREAD) <= len(there)


def test_a_broker_that_begins_again_is_another_life() -> None:
    """The offsets of an embedded broker begin with it; what was kept of the one before stays, and is not taken for its own."""
    with open_folder() as folder, open_server() as server, open_database(server) as dsn:
        migrate(dsn)
        for life in range(2):
            with open_broker() as bootstrap, quiet(folder, dsn, bootstrap) as session:
                put(session, life)
                worker = start_worker(session, folder / "worker.log", "archive")
                there = on_topics(session)
                until(lambda: kept(folder / "archive") == there, "what the broker has")  # noqa: B023
                assert 0 == ended(worker), (folder / "worker.log").read_text()
        assert "leaked" not in (folder / "worker.log").read_text()
        named = os.environ.get("BALLAST_TEST_KAFKA")
        assert (1 if named else 2) == len(lives_there(folder / "archive" / "topics" / "alerts"))


@contextmanager
def kept_beside(session: Session, folder: Path) -> Iterator[None]:
    """The treasury and its archive at work, which end well."""
    where = {"BALLAST_ARCHIVE": f'{{"folder": "{folder}/archive", "seconds": 1}}'}
    groups = [Group(name, 1, {**session.env, **where}, folder / f"{name}.log") for name in ("everything", "archive")]
    try:
        for group in groups:
            group.start()
        yield
    finally:
        codes = [group.stop() for group in groups]
    assert [[0], [0]] == codes, (folder / "archive.log").read_text()


def breaches(archive: Path, folder: Path) -> tuple[list[Any], dict[str, int]]:
    """The checks of an archive that found something, and over how much each was asked."""
    as_snapshot(archive, folder)
    checks = audit_folder(folder)["checks"]
    return [check for check in checks if check["verdict"] == "breach"], {check["name"]: check["checked"] for check in checks}


def test_an_archive_of_what_trades_passes_its_audit(tmp_path: Path) -> None:
    """Kept beside the treasury while users trade, it is judged while that goes on, and once all has come to rest."""
    with open_trading() as (session, folder):
        with kept_beside(session, folder):
            with CrowdThread(session.places.kafka, 7, 40):
                until(lambda: len(moments(folder / "archive")) > 3, "moments")
                assert [] == breaches(folder / "archive", tmp_path / "meanwhile")[0]
            settle(session.places)
            settled_ms = now_ms()
            until(lambda: int(moments(folder / "archive")[-1].name) > settled_ms, "a moment after that")
        found, checked = breaches(folder / "archive", tmp_path / "settled")
        assert [] == found
        assert 0 < min(checked[name] for name in ("I1_every_leg_has_its_place", "I11_the_position_is_the_sum_of_its_fills"))
