"""Balances of customers verified in Postgres: what somebody turns past every guard is found, told once, and mended."""

from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from domain.ledger.accounts import FIXED, SETTLEMENT_SHARD
from domain.settlement.verifying import Error, Residual
from domain.templates.settlement import Told, customer_corrected
from sinks.ledger.writer import PostgresLedger
from sinks.verifying import PostgresVerifies
from tests.app.reports.audit.settled import fill_settlement
from tests.domain.settlement.played import AT_MS, CUSTOMERS
from tests.sinks.ledger.checks import Sql
from tests.sinks.ledger.story import as_superuser

pytestmark = pytest.mark.postgres

EVERYBODY = [*CUSTOMERS, "w1", "w2"]
MORE = b"""
    UPDATE ledger.balance SET settled_credit = settled_credit + %(amount)s WHERE currency = 'ETH'
    AND account_id = (SELECT account_id FROM ledger.account WHERE code = %(code)s)
"""
LAST_ENTRY = b"""
    UPDATE ledger.entry SET amount = amount + 7, balance_after = balance_after - 7
    WHERE tx_id = (SELECT tx_id FROM ledger.tx WHERE meta ->> 'trade' = 'late trade')
    AND account_id = (SELECT account_id FROM ledger.account WHERE code = 'CUSTOMER/w1')
"""


@pytest.fixture
def verifies(dsn: str) -> Iterator[PostgresVerifies]:
    """What verifies a settlement that was played."""
    fill_settlement(dsn)
    with closing(PostgresVerifies(dsn)) as verifies:
        yield verifies


def turn(dsn: str, code: str, amount: int) -> None:
    """Turn a balance, as a superuser."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert 1 == as_superuser(connection, MORE, {"amount": amount, "code": code})


def has(dsn: str, customer: str) -> int:
    """What is stored of the ETH that a customer may use."""
    with psycopg.connect(dsn) as connection:
        row = connection.execute(
            "SELECT available FROM settlement.balances_of(%s) WHERE asset = 'ETH'", (customer,)
        ).fetchone()
    return int(row[0]) if row else 0


def test_honest_books_agree(verifies: PostgresVerifies, sql: Sql) -> None:
    """All customers, with every kind of posting and decimals up to eighteen; the job says what it looked at."""
    assert [] == verifies.residuals()
    job = verifies.verify("hourly", EVERYBODY)
    assert (8, 34, 0) == (job.customers, job.trades, len(job.errors))
    assert [("hourly", 8, 34, 0, "agrees")] == sql(
        "SELECT kind, customers, trades, errors, status FROM settlement.v_reconciliation"
    )


def test_a_balance_that_was_turned_is_found_and_told_once(verifies: PostgresVerifies, dsn: str, sql: Sql) -> None:
    """By the sum, which leads to whose it is; asked again, the same error is not written down again."""
    turn(dsn, "CUSTOMER/w2", 7)
    residuals = verifies.residuals()
    assert [Residual("ETH", 7)] == residuals
    assert ["w2"] == verifies.suspects("ETH")
    (error,) = verifies.verify("continuous", ["w2"], residuals).errors
    actual = has(dsn, "w2")
    assert Error("w2", "ETH", "available", "balance", actual - 7, actual) == error
    assert (7, None) == (error.difference, error.correction)
    assert [error] == [*verifies.verify("manual", EVERYBODY, residuals).errors]
    assert [(1,)] == sql("SELECT count(*) FROM settlement.reconciliation_error WHERE fixed_job IS NULL")
    assert [("differs", {"ETH": 7})] == sql("SELECT DISTINCT status, residuals FROM settlement.reconciliation_job")


def turn_history(dsn: str) -> None:
    """Turn what a seller got for a trade, and all that follows from it, so that the ledger takes it for its own."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert 1 == as_superuser(connection, LAST_ENTRY)
    turn(dsn, "CUSTOMER/w1", 7)


def test_a_correction_under_the_name_of_an_error_mends_it(verifies: PostgresVerifies, dsn: str, sql: Sql) -> None:
    """It is no part of what the balance should come to; the next job says that it is mended, and the sums are explained."""
    turn_history(dsn)
    assert [Residual("ETH", 7)] == verifies.residuals()
    (error,) = verifies.verify("manual", ["w1"]).errors
    assert ("entries", 7, -7) == (error.found_in, error.difference, error.correction)
    ((name,),) = sql("SELECT correction_id FROM settlement.reconciliation_error")
    correct(dsn, name, -7)
    assert [] == verifies.residuals()
    job = verifies.verify("manual", ["w1"])
    assert ([], 1) == ([*job.errors], job.fixed)
    assert [(job.id,)] == sql("SELECT fixed_job FROM settlement.reconciliation_error")


def test_a_correction_by_another_name_is_history(verifies: PostgresVerifies, dsn: str) -> None:
    """What was given moves what is there and what is expected, so an error stays as it is."""
    turn_history(dsn)
    (before,) = verifies.verify("manual", ["w1"]).errors
    correct(dsn, "a gift", 1000)
    (after,) = verifies.verify("manual", ["w1"]).errors
    assert (7, before.expected + 1000) == (after.difference, after.expected)


def correct(dsn: str, name: str, amount: int) -> None:
    """Book a correction that two have agreed to."""
    posting = customer_corrected(name, "w1", "ETH", amount, 0, Told(AT_MS, "gov.approvals/0", 1))
    with closing(PostgresLedger(dsn, SETTLEMENT_SHARD, accounts=FIXED)) as ledger:
        assert ["POSTED"] == [verdict.outcome.name for verdict in ledger.post([posting]).verdicts]


def test_money_that_went_from_one_balance_to_another_is_found(verifies: PostgresVerifies, dsn: str) -> None:
    """All sums are zero, and each of both has what his history does not come to."""
    turn(dsn, "CUSTOMER/w2", -7)
    turn(dsn, "CUSTOMER/w1", 7)
    assert [] == verifies.residuals()
    errors = verifies.verify("hourly", verifies.next_customers(8)).errors
    assert [("w1", 7), ("w2", -7)] == sorted((error.customer, error.difference) for error in errors)


def test_everybody_has_a_turn(verifies: PostgresVerifies) -> None:
    """Each hourly job goes on where the last one ended, and from the first again at the end."""
    turns = []
    for _ in range(4):
        customers = verifies.next_customers(3)
        verifies.verify("hourly", customers)
        turns.append([*customers])
    assert [["u0", "u1", "u2"], ["u3", "u4", "u5"], ["w1", "w2", "u0"], ["u1", "u2", "u3"]] == turns


def test_what_was_found_is_evidence(verifies: PostgresVerifies, dsn: str, sql: Sql) -> None:
    """Neither a job nor an error can be altered or deleted."""
    turn(dsn, "CUSTOMER/w2", 7)
    verifies.verify("manual", ["w2"])
    for statement in (
        "DELETE FROM settlement.reconciliation_error",
        "UPDATE settlement.reconciliation_error SET expected = 1",
        "UPDATE settlement.reconciliation_job SET errors = 0",
        "DELETE FROM settlement.reconciliation_job",
    ):
        with pytest.raises(psycopg.errors.RestrictViolation):
            sql(statement)
