"""`ballast settlement verify` by itself: in words, in JSON and by exit codes, with the correction that another command takes."""

import json
from collections.abc import Iterator

import psycopg
import pytest
import typer
from typer.testing import CliRunner

from app.cli.settlement_verify import verify
from app.reports.settlement import verify as report
from domain.errors import BallastError
from domain.messages.settlement import CustomerCorrection
from sinks.migrations import migrate
from tests.app.reports.audit.settled import fill_settlement
from tests.app.surroundings import open_database
from tests.sinks.test_verifying import turn, turn_history

pytestmark = pytest.mark.postgres

app = typer.Typer(rich_markup_mode=None)
app.command()(verify)


@pytest.fixture
def books(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The DSN of a settlement that was played, as the settings name it."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_settlement(dsn)
        monkeypatch.setenv("BALLAST_POSTGRES__DSN", dsn)
        yield dsn


def test_honest_books_agree(books: str) -> None:
    """Exit code 0, and how much was looked at."""
    said = CliRunner().invoke(app, [])
    assert 0 == said.exit_code, said.output
    assert ["status: agrees", "customers: 8", "trades: 34", "fixed: 0"] == said.output.splitlines()[:4]
    assert books


def test_what_is_wrong_comes_with_its_correction(books: str) -> None:
    """Exit code 1; with who asks and when, the correction is a message as settlement.corrections takes it."""
    turn_history(books)
    said = CliRunner().invoke(app, ["w1", "--json"])
    assert 1 == said.exit_code, said.output
    told = json.loads(said.output)
    (error,) = told["errors"]
    assert ("entries", "available", 7) == (error["found_in"], error["account"], error["difference"])
    asked = CustomerCorrection.model_validate({**error["correction"], "by": "anna", "as_of": 1})
    assert ("w1", "ETH", -7) == (asked.customer, asked.asset, asked.amount)
    assert [{"asset": "ETH", "amount": 7}] == told["residuals"]
    with psycopg.connect(books) as connection:
        names = connection.execute("SELECT correction_id FROM settlement.reconciliation_error").fetchall()
    assert [(asked.id,)] == names
    assert "correction: " in CliRunner().invoke(app, ["w1"]).output


def test_a_stored_balance_that_was_turned_has_no_correction(books: str) -> None:
    """The ledger posts nothing on it."""
    turn(books, "CUSTOMER/w1", 7)
    (error,) = report.verify(books, "w1", 1)["errors"]
    assert ("balance", None) == (error["found_in"], error["correction"])


def test_who_is_nobody_is_one_sentence(books: str) -> None:
    """With what a name looks like."""
    with pytest.raises(BallastError, match=r"there is no customer u99 with an account; names are as on settlement\.flows"):
        report.verify(books, "u99", 1)


def test_the_command_shows_an_example() -> None:
    """As every command."""
    assert "Example: ballast settlement verify u1 --json" in CliRunner().invoke(app, ["--help"]).output
