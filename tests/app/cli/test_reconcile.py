"""`ballast reconcile` beside the flow that runs: from a file to breaks, in words, in JSON and by exit codes."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from domain.times import parse_ms
from sinks.ledger.writer import PostgresLedger
from tests.app.reports.audit.settled import fill_settlement
from tests.app.reports.test_reconciling import ACCOUNTS, POSTED
from tests.app.surroundings import Running, assert_one_sentence, running_flows
from tests.domain.reconciling.test_statements import CSV
from tests.sinks.test_verifying import turn
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

OF = ("--source", "bank:first", "--account", "CASH/first")


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The flow by itself, over a ledger with three postings."""
    every = {"BALLAST_RECONCILING__EVERY_SECONDS": "2", "BALLAST_SETTLEMENT__ZERO_SUM_SECONDS": "1"}
    with running_flows(["reconciling"], every) as running:
        with closing(PostgresLedger(running.dsn, 0, accounts=ACCOUNTS)) as ledger:
            ledger.post(POSTED)
        yield running


def reports(running: Running) -> int:
    """How many comparisons are recorded."""
    with psycopg.connect(running.dsn) as connection:
        row = connection.execute("SELECT count(*) FROM treasury.recon_report").fetchone()
        return row[0] if row else 0


def test_a_statement_that_is_wrong_is_not_sent(running: Running) -> None:
    """One sentence with file, line and remedy, and exit code 78."""
    (running.folder / "bad.csv").write_text(CSV.replace("20.5,", '"1,020.50",'))
    said = running.ballast("reconcile", "load", "bad.csv", *OF)
    assert_one_sentence(said, "bad.csv, line 3", "separators of thousands", "write it as 1234.56")


def test_a_statement_is_compared_when_it_comes_and_again_and_again(running: Running) -> None:
    """By the flow; `now` says the same at once, with exit code 1 for breaks, and `show` lists them."""
    (running.folder / "first.csv").write_text(CSV)
    assert {"statement_id": "s1", "lines": 2, "sent": 1} == running.ballast(
        "reconcile", "load", "first.csv", *OF, "--json"
    ).json()
    until(lambda: reports(running) >= 2, "a comparison when it came, and one after that")
    now = running.ballast("reconcile", "now", "--json")
    assert 1 == now.code
    told = now.json()
    (account,) = told["accounts"]
    assert ("differs", 2, -1200) == (account["verdict"], account["breaks"], account["difference"])
    shown = running.ballast("reconcile", "show", "--json").json()["breaks"]
    assert [one["break_id"] for one in told["breaks"]] == [one["break_id"] for one in shown]
    assert shown[0]["age_seconds"] > 0
    assert parse_ms(shown[0]["since"]) == parse_ms("2026-01-31T00:00:00Z")
    status = running.ballast("status", "--json").json()
    assert {"medium": 2} == status["breaks"]
    assert "not_in_books" in running.ballast("reconcile", "show").out


def test_the_flow_says_that_it_is_well(running: Running) -> None:
    """To whoever watches over it."""
    until(lambda: running.ballast("status", "--health", "--flow", "reconciling").code == 0, "a word of the flow")


def test_a_balance_of_a_customer_that_is_turned_is_found(running: Running) -> None:
    """By the sums, while the flow runs, without anybody asking: an alert names the customer, and a job has it on record."""
    fill_settlement(running.dsn)
    turn(running.dsn, "CUSTOMER/w2", 7)
    found = "SELECT text FROM treasury.alert WHERE subject = 'settlement_mismatch' AND text LIKE 'w2 has %'"
    with psycopg.connect(running.dsn, autocommit=True) as connection:
        until(lambda: connection.execute(found).fetchone() is not None, "an alert that names the customer")
        jobs = connection.execute(
            "SELECT kind, errors, residuals FROM settlement.v_reconciliation WHERE errors > 0"
        ).fetchall()
    assert ("continuous", 1, {"ETH": 7}) in jobs
