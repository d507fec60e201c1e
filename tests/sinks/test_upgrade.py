"""A ledger that was written by the release before this one: nothing is lost, and everything is answered as it was."""

from pathlib import Path
from typing import Any

import psycopg
import pytest
from yoyo import read_migrations

from app.ledger_verifying import verify_database
from domain.ids import content_id, timed_id
from domain.journal import Entry, Layer, Transaction
from domain.templates import revert_user_buys_usd, trade_id, user_buys_usd, user_sells_usd
from sinks.ledger import PostgresLedger
from sinks.migrations import MIGRATIONS, _backend, migrate
from tests.sinks.ledger_checks import assert_books_tie, outcomes

pytestmark = pytest.mark.postgres

FIRST_RELEASE = ("0001_ledger", "0002_ledger_views", "0003_treasury")
HELD = Path(__file__).parent / "ledger_of_0003.sql"
AT_MS, DAY_MS = 1_700_000_000_000, 86_400_000


def trade(make: Any, number: int, at_ms: int, **more: Any) -> Transaction:
    """A trade as it was posted then."""
    made: Transaction = make(
        1000 * number,
        50 * number,
        effective_at_ms=at_ms,
        pairing_key=f"key-{number}",
        btc_leg={"id": f"b-{number}", "amount": 1000 * number, "cents_per_unit": "0.05"},
        usd_leg={"id": f"u-{number}", "amount": -50 * number, "memo": 'ü "quoted" \\ tab\t'},
        source="pair/pair-00",
        source_offset=number,
        **more,
    )
    return made


@pytest.fixture
def upgraded(empty_dsn: str) -> str:
    """A database of the first release with what its ledger held, brought to this one."""
    backend = _backend(empty_dsn)
    backend.apply_migrations(read_migrations(str(MIGRATIONS)).filter(lambda migration: migration.id in FIRST_RELEASE))
    backend.connection.close()
    with psycopg.connect(empty_dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute(HELD.read_bytes())
    assert migrate(empty_dsn)[0].startswith("0004")
    return empty_dsn


def test_everything_is_answered_as_before(upgraded: str) -> None:
    """Trades are duplicates, the rejection and the conflict stay what they are, and what was reversed stays so."""
    third = trade_id("USER_BUYS_USD", AT_MS + 5, "b-3", "u-3")
    first = trade(user_buys_usd, 1, AT_MS)
    entries = (Entry("NOBODY", "USD", Layer.SETTLED, 1, 5), Entry("STABLESATS_LIABILITY", "USD", Layer.SETTLED, -1, 5))
    bad = Transaction(timed_id(AT_MS, "bad"), "USER_BUYS_USD", AT_MS, entries, content_id("bad"), "p/0", 9, {"price": 0.1})
    again = [
        first,
        trade(user_sells_usd, 2, AT_MS + DAY_MS),
        trade(user_buys_usd, 3, AT_MS + 5),
        trade(revert_user_buys_usd, 3, AT_MS + 2 * DAY_MS, reverses=third),
        bad,
        first._replace(meta={"other": True}),
        trade(revert_user_buys_usd, 3, AT_MS + 3 * DAY_MS, reverses=third),
    ]
    ledger = PostgresLedger(upgraded)
    said = ledger.post(again).verdicts
    assert ["duplicate"] * 4 + ["rejected", "conflict", "rejected"] == [verdict.outcome for verdict in said]
    assert ["unknown_account", "other_body", "already_reversed"] == [verdict.reason for verdict in said[4:]]
    ledger.close()


def test_the_books_go_on_and_the_chain_is_whole(upgraded: str) -> None:
    """New batches follow the old ones, and the proof covers both, by SQL and by the rows alone."""
    ledger = PostgresLedger(upgraded)
    assert ["posted"] == outcomes(ledger, [trade(user_buys_usd, 4, AT_MS + DAY_MS)])
    ledger.close()
    with psycopg.connect(upgraded) as connection:
        assert_books_tie(lambda query, *values: connection.execute(query, values or None).fetchall())  # type: ignore[arg-type]
    report = verify_database(upgraded, lambda _: None)
    assert (True, 3, []) == (report["is_intact"], report["batches"], report["broken"])
