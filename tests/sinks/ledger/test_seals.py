"""Sealed periods: what they came to is kept, they take no more, and whatever is changed in them afterwards is noticed."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from domain.ledger.journal import Transaction
from sinks.ledger.single import post_once
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from sinks.queries import ask
from tests.sinks.ledger.checks import Sql
from tests.sinks.ledger.story import BOB, CASH, DEPOSIT, as_superuser, both, one, tell
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = pytest.mark.postgres

FIRST = datetime(2024, 5, 1, tzinfo=UTC)


def seal(dsn: str, day: float) -> dict[str, Any]:
    """Close what is effective before so many days after the start of the story, as who may."""
    with connect(dsn, "api", "test") as connection:
        row = connection.execute("SELECT ledger.seal(%s)", (FIRST + timedelta(days=day),)).fetchone()
    assert row is not None
    manifest: dict[str, Any] = row[0]
    return manifest


def seals(dsn: str) -> list[tuple[Any, ...]]:
    """Whether each seal is sound, and what differs."""
    with connect(dsn, "reader", "test") as connection:
        rows = ask(connection, "ledger_seals")
    return [(row["is_sound"], [str(day) for day in row["differing_days"]], row["differing_shards"]) for row in rows]


def test_a_seal_says_what_the_period_came_to(dsn: str) -> None:
    """Day by day: how many, how much on each side, and which; and where each shard's chain had come to."""
    tell(dsn)
    first, second = seal(dsn, 2), seal(dsn, 10)
    assert ["2024-05-01", "2024-05-02"] == [day["day"] for day in first["days"]]
    assert [(4, 8), (3, 6)] == [(day["transactions"], day["entries"]) for day in first["days"]]
    kinds = [(kind["layer"], kind["debits"], kind["credits"]) for kind in first["days"][1]["sums"]]
    assert [("settled", 55_00, 55_00), ("pending", 20_00, 20_00)] == kinds
    assert {"0", "1"} == first["batches"].keys()
    assert (None, first["until"]) == (first["since"], second["since"])
    assert [(True, [], []), (True, [], [])] == seals(dsn)


def test_a_sealed_period_takes_no_more(dsn: str) -> None:
    """What is effective in it is rejected, what comes after is posted, and the seal stays sound."""
    tell(dsn)
    seal(dsn, 2)
    ledger = PostgresLedger(dsn, accounts=())
    late, later = one("too late", 1.9, "DEPOSIT", *both(CASH, BOB, 1)), one("in time", 2, "DEPOSIT", *both(CASH, BOB, 1))
    assert ["closed_period", None] == [verdict.reason for verdict in ledger.post([late, later]).verdicts]
    ledger.close()
    assert [(True, [], [])] == seals(dsn)


def test_nothing_is_closed_before_it_is_over(dsn: str, sql: Sql) -> None:
    """A seal that ends ahead is refused, and so is whoever writes one without asking the function."""
    for statement, code in [
        ("SELECT ledger.seal(now() + interval '1 minute')", "LG015"),
        ("INSERT INTO ledger.closed_period (closed_until) VALUES (now() + interval '1 minute')", "23514"),
    ]:
        with connect(dsn, "api", "test") as connection, pytest.raises(psycopg.Error) as caught:
            connection.execute(statement)
        assert code == caught.value.sqlstate
    assert [] == sql("SELECT * FROM ledger.closed_period")


def test_a_seal_cannot_be_put_below_another(dsn: str) -> None:
    """A period that is sealed is sealed once."""
    tell(dsn)
    seal(dsn, 2)
    for day in (1, 2):
        with pytest.raises(psycopg.Error) as caught:
            seal(dsn, day)
        assert "LG015" == caught.value.sqlstate


def test_readers_may_not_seal(dsn: str) -> None:
    """Closing a period is for those who may close one."""
    with connect(dsn, "reader", "test") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT ledger.seal(now())")


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (b"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = %(id)s", (False, ["2024-05-01"], [])),
        (b"UPDATE ledger.tx SET body_hash = %(hash)s WHERE tx_id = %(id)s", (False, ["2024-05-01"], [])),
        (
            b"UPDATE ledger.tx SET effective_at = effective_at + '1 day' WHERE tx_id = %(id)s",
            (False, ["2024-05-01", "2024-05-02"], []),
        ),
        (b"DELETE FROM ledger.entry WHERE tx_id = %(id)s", (False, ["2024-05-01"], [])),
        (b"DELETE FROM ledger.batch WHERE batch_id >= 5 AND shard = 0", (False, [], [0])),
    ],
)
def test_a_seal_notices_what_is_changed_after_it(dsn: str, statement: bytes, expected: tuple[Any, ...]) -> None:
    """Whoever gets past the guards is found out, with the day, or with the shard whose chain lost its end."""
    tell(dsn)
    seal(dsn, 2)
    with psycopg.connect(dsn, autocommit=True) as connection:
        as_superuser(connection, statement, {"id": DEPOSIT.id, "hash": bytes(16)})
    assert [expected] == seals(dsn)


def test_a_seal_counts_what_came_while_it_counted(dsn: str, sql: Sql) -> None:
    """It waits for a batch that has begun, and what that batch brought into the period is in the manifest."""
    tell(dsn)
    sql(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END'"
    )
    sql("""
        CREATE CONSTRAINT TRIGGER wait AFTER INSERT ON ledger.tx DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait()
    """)
    just_in_time = one("just in time", 1.5, "DEPOSIT", *both(CASH, BOB, 1))
    with ThreadPoolExecutor(2) as pool:
        sql("SELECT pg_advisory_lock(7)")
        posting = pool.submit(post, dsn, just_in_time)
        until_waiting(sql, 1)
        sealing = pool.submit(seal, dsn, 2)
        until_waiting(sql, 2)
        sql("SELECT pg_advisory_unlock(7)")
        assert "posted" == posting.result(PATIENCE_SECONDS)
        assert [4, 4] == [day["transactions"] for day in sealing.result(PATIENCE_SECONDS)["days"]]
    assert [(True, [], [])] == seals(dsn)


def post(dsn: str, transaction: Transaction) -> str:
    """What becomes of a transaction in shard 0."""
    with connect(dsn, "writer", "test") as connection:
        return str(post_once(connection, [transaction]).verdicts[0].outcome)


def until_waiting(sql: Sql, count: int) -> None:
    """Return when so many wait for a lock in this database."""
    waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    until(lambda: len(sql(waiting)) == count, f"{count} to wait for a lock")
