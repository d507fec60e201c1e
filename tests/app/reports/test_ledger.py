"""Acts on the ledger beside others: what Postgres breaks off is done again, and what stays so is one sentence."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.reports.ledger import Report, reverse, seal
from sinks.migrations import migrate
from sinks.postgres import TRIES_MAX
from tests.app.surroundings import run_ballast
from tests.sinks.ledger.story import BATCHES_0, tell
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.postgres

TRANSFER = BATCHES_0[2][1].id
AT = datetime(2024, 5, 4, tzinfo=UTC)
COUNTS_AND_BREAKS_OFF = (
    "CREATE SEQUENCE tries",
    "GRANT USAGE ON SEQUENCE tries TO PUBLIC",
    """CREATE FUNCTION broken_off() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        PERFORM nextval('public.tries');
        RAISE EXCEPTION USING ERRCODE = 'serialization_failure', MESSAGE = 'could not serialize access';
    END $$""",
    "CREATE TRIGGER broken_off BEFORE INSERT ON ledger.batch FOR EACH ROW EXECUTE FUNCTION broken_off()",
    "CREATE TRIGGER broken_off BEFORE INSERT ON ledger.closed_period FOR EACH ROW EXECUTE FUNCTION broken_off()",
)
DEADLOCKS = "SELECT pg_stat_get_db_deadlocks(oid) FROM pg_database WHERE datname = current_database()"
ACTS: dict[str, tuple[Callable[[str], Report], bytes]] = {
    "reverse": (lambda dsn: reverse(dsn, TRANSFER, AT, None), b"LOCK TABLE ledger.batch IN EXCLUSIVE MODE"),
    "seal": (lambda dsn: seal(dsn, AT), b"SELECT FROM ledger.writer WHERE shard = 1 FOR UPDATE"),
}
"""Each with what it needs after it has locked shard 0 and before it writes balances or periods."""


@pytest.fixture
def dsn(database: str) -> str:
    """A ledger with the story in it."""
    migrate(database)
    tell(database)
    return database


@pytest.fixture
def connections(dsn: str) -> Iterator[tuple[psycopg.Connection[Any], ...]]:
    """Three who are connected to it."""
    with psycopg.connect(dsn) as one, psycopg.connect(dsn) as two, psycopg.connect(dsn, autocommit=True) as three:
        yield one, two, three


def until_waiting(sql: psycopg.Connection[Any], count: int) -> None:
    """Wait until so many of the database's sessions wait for a lock."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until(lambda: sql.execute(waiting).fetchone() == (count,), f"{count} who wait for a lock")


@pytest.mark.parametrize("name", ACTS)
def test_an_act_that_ends_in_a_deadlock_is_done_again(
    name: str, dsn: str, connections: tuple[psycopg.Connection[Any], ...]
) -> None:
    """Held up halfway until a rival waits for what it has and has what it needs, it is broken off, and then done."""
    act, before_it_writes = ACTS[name]
    blocker, rival, sql = connections
    rival.execute("SET deadlock_timeout = '1h'")  # so that it is the act that notices
    with ThreadPoolExecutor(2) as pool:
        blocker.execute(before_it_writes)
        rival.execute("LOCK TABLE ledger.balance, ledger.closed_period IN EXCLUSIVE MODE")
        acting = pool.submit(act, dsn)
        until_waiting(sql, 1)
        crossing = pool.submit(rival.execute, "SELECT FROM ledger.writer WHERE shard = 0 FOR UPDATE")
        until_waiting(sql, 2)
        blocker.rollback()
        crossing.result(PATIENCE_SECONDS)
        rival.rollback()
        report = acting.result(PATIENCE_SECONDS)
    assert "posted" == report.get("outcome", "posted")
    until(lambda: sql.execute(DEADLOCKS).fetchone() == (1,), "the deadlock to be counted")


@pytest.mark.parametrize(
    "arguments", [("reverse", TRANSFER, "--effective-at", "2024-05-04"), ("seal", "--until", "2024-05-04")]
)
def test_a_conflict_that_stays_is_one_sentence(arguments: tuple[str, ...], dsn: str, tmp_path: Path) -> None:
    """After a few tries it says what it is and to try again, which is no trouble with a setting; nothing is left of it."""
    with psycopg.connect(dsn, autocommit=True) as sql:
        for statement in COUNTS_AND_BREAKS_OFF:
            sql.execute(statement)  # type: ignore[arg-type]
        said = run_ballast("ledger", *arguments, cwd=tmp_path, settings={"BALLAST_POSTGRES__DSN": dsn})
        assert (1, "", 1) == (said.code, said.out, len(said.err.splitlines())), said
        assert "a conflict of transactions" in said.err
        assert "could not serialize access" in said.err
        assert "try again" in said.err
        assert (TRIES_MAX,) == sql.execute("SELECT last_value FROM tries").fetchone()
