"""Comparing over Postgres: what is recorded, what two people correct, and the same from a folder without a server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.reports.reconciling import approve, ask_for, breaks_of, read_breaks, read_checked, rows_of
from app.reports.reconciling_offline import compare_folder
from app.settings import Settings
from domain.errors import BallastError, ConfigError
from domain.ledger.accounts import Account
from domain.ledger.journal import CREDIT, DEBIT
from domain.messages.recon import Statement
from domain.reconciling.breaks import Occasion
from domain.reconciling.items import Scope
from domain.reconciling.records import Told
from domain.templates.reversal import reversal
from domain.templates.transfer import transfer
from operators.reconciling import compare_now
from sinks.archive.snapshot import About, take
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from sinks.postgres import connect
from sinks.reconciling import PostgresRecords
from tests.app.surroundings import open_database
from tests.domain.reconciling.test_statements import CSV

pytestmark = pytest.mark.postgres

DAY_MS = 86_400_000
SINCE_MS = 1_769_817_600_000
"""2026-01-31, when the statement of the CSV begins."""

NOW_MS = SINCE_MS + 30 * DAY_MS
SCOPE = Scope("bank:first", "CASH/first", "USD")
ACCOUNTS = (
    Account(0, "CASH", DEBIT, "Bank", "USD", "all banks"),
    Account(0, "CASH/first", DEBIT, "Bank", "USD", "at the first bank", parent="CASH"),
    Account(0, "CASH/second", DEBIT, "Bank", "USD", "at the second bank", parent="CASH"),
    Account(0, "OWED", CREDIT, "Bank", "USD", "owed"),
    Account(0, "FEES", DEBIT, "Bank", "USD", "what banks take"),
    Account(0, "STUCK", DEBIT, "Bank", "USD", "of which nothing may move", status="frozen"),
    Account(0, "COINS", DEBIT, "Bank", "BTC", "bitcoin"),
    Account(0, "ELSEWHERE", DEBIT, "Bank", "USD", "on another shard", shard=1),
)
HOW = Settings().reconciling.how


def paid(key: str, amount: int, at_ms: int) -> Any:
    """Money that came to the bank."""
    debit, credit, amount = ("CASH/first", "OWED", amount) if amount > 0 else ("OWED", "CASH/first", -amount)
    at = {"effective_at_ms": SINCE_MS + at_ms, "source": "ledger.postings/0", "source_offset": 0}
    return transfer(key, debit, credit, "USD", amount, **at)  # type: ignore[arg-type]


POSTED = (paid("opening", 10_000, -DAY_MS), paid("deposit 7", 2_050, 9 * 3_600_000), paid("typed twice", 700, 0))


@pytest.fixture(scope="module")
def dsn(server: str) -> Iterator[str]:
    """A ledger with an opening balance, one payment that the statement has, and one that it has not."""
    with open_database(server) as dsn:
        migrate(dsn)
        with closing(PostgresLedger(dsn, 0, accounts=ACCOUNTS)) as ledger:
            ledger.post(POSTED)
        yield dsn


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The statement as a file: the payment, and a fee that the books lack."""
    path = tmp_path / "first.csv"
    path.write_text(CSV)
    return path


def compared(dsn: str, at_ms: int, *statements: Statement) -> Told:
    """Keep statements, compare the account, and record it."""
    with closing(PostgresRecords(dsn)) as records:
        assert [None] * len(statements) == [records.keep(one) for one in statements]
        return compare_now(SCOPE, records, HOW, Occasion(at_ms, "test"))


def shown(told: Told) -> list[tuple[str, str, int]]:
    """State, kind and amount of what was told of breaks."""
    return sorted((one.state, one.kind, one.amount) for one in told.exceptions)


def test_from_a_file_to_books_that_agree(dsn: str, file: Path, tmp_path: Path) -> None:
    """One story: breaks are found, told once, corrected by two people and a reversal, and closed; a folder says the same."""
    told = read_checked(dsn, file, SCOPE.source, SCOPE.account, None)
    first = compared(dsn, NOW_MS, told)
    assert [("open", "not_in_books", -500), ("open", "not_on_statement", -700)] == shown(first)
    assert (12_750, 11_550, -1_200) == (first.report.book, first.report.external, first.report.difference)

    take(dsn, {}, tmp_path / "kept", About("cluster", "2026-03-01T00:00:00Z", "closest"))
    offline = compare_folder(Settings(), tmp_path / "kept", [file], SCOPE.source, SCOPE.account)
    assert rows_of(offline.told) == rows_of([first])
    online = [one["break_id"] for one in read_breaks(dsn, None) if one["source"] == SCOPE.source]
    assert sorted(online) == sorted(one["break_id"] for one in breaks_of(offline.breaks))

    assert first == compared(dsn, NOW_MS), "an occasion is recorded once"
    assert [] == shown(compared(dsn, NOW_MS + 1)), "what has not changed is not told again"

    (fee,) = [one for one in first.exceptions if one.kind == "not_in_books"]
    ask_for(dsn, fee.break_id, "OWED", "the wrong account", "Anna", None, None)
    ask_for(dsn, fee.break_id, "FEES", "a fee of the bank", "Anna", None, None)
    with pytest.raises(BallastError, match="somebody else has to approve"):
        approve(dsn, fee.break_id, " ANNA ")
    posted = approve(dsn, fee.break_id, "boris")
    with pytest.raises(BallastError, match="no correction waits"):
        approve(dsn, fee.break_id, "carla")
    with closing(PostgresLedger(dsn, 0, accounts=())) as ledger:
        ledger.post([reversal(POSTED[2], SINCE_MS + 2 * DAY_MS, "typed twice") or POSTED[0]])
    last = compared(dsn, NOW_MS + 2)
    assert [("closed", "not_in_books", -500), ("closed", "not_on_statement", -700)] == shown(last)
    assert ("agrees", 0) == (last.report.verdict, last.report.difference)

    with connect(dsn, "reader", "test") as connection:
        rules = "SELECT rule FROM treasury.recon_match WHERE ended_report IS NULL ORDER BY rule"
        assert [("correction",), ("reference",), ("taken_back",)] == connection.execute(rules).fetchall()
        kept = "SELECT meta ->> 'asked_by', meta ->> 'approved_by', meta ->> 'reason' FROM ledger.tx WHERE tx_id = %s"
        assert ("Anna", "boris", "a fee of the bank") == connection.execute(kept, (posted["transaction_id"],)).fetchone()
        evidence = "SELECT evidence -> 'lines' -> 0 ->> 'id' FROM treasury.recon_match WHERE rule = 'correction'"
        assert ("s1/2",) == connection.execute(evidence).fetchone()


def test_what_cannot_be_loaded_is_one_sentence(dsn: str, file: Path) -> None:
    """With the file, its line where there is one, and what to do."""
    with pytest.raises(ConfigError, match="there is no account NOBODY; all of them: ballast ledger balance"):
        read_checked(dsn, file, "bank:first", "NOBODY", None)
    with pytest.raises(ConfigError, match=r"first.csv, line 2: the currency is 'USD', and the account has BTC"):
        read_checked(dsn, file, "bank:first", "COINS", None)
    with pytest.raises(ConfigError, match="the account CASH/first has USD, and not BTC"):
        read_checked(dsn, file, "bank:first", "CASH/first", "BTC")
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_checked(dsn, file.with_name("gone.csv"), "bank:first", "CASH/first", None)
    file.write_text(CSV.replace("opening,s1", "opening,s2").replace("closing,s1", "closing,s2"))
    with closing(PostgresRecords(dsn)) as records:
        records.keep(read_checked(dsn, file, "bank:other", "CASH/first", None))
    file.write_text(CSV)
    with pytest.raises(ConfigError, match="statement s1 covers time that s2 covers"):
        read_checked(dsn, file, "bank:other", "CASH/first", None)


def broken(dsn: str) -> str:
    """A break that is open: another source says something that the books lack."""
    told = Statement.model_validate_json(
        '{"statement_id":"x","source":"bank:second","account":"CASH/second","currency":"USD",'
        '"since":"2025-01-31T00:00:00Z","until":"2025-02-01T00:00:00Z","opening":0,"closing":5,'
        '"lines":[{"line_id":"1","at":"2025-01-31T09:00:00Z","amount":5}]}'
    )
    with closing(PostgresRecords(dsn)) as records:
        records.keep(told)
        compare_now(SCOPE._replace(source="bank:second", account="CASH/second"), records, HOW, Occasion(NOW_MS, "test"))
    (found,) = [one for one in read_breaks(dsn, None) if one["source"] == "bank:second"]
    return str(found["break_id"])


@pytest.mark.parametrize(
    ("counter", "said"),
    [
        ("CASH", "is the sum of others"),
        ("COINS", "has BTC, and the break is in USD"),
        ("CASH/second", "is the account itself"),
        ("NOBODY", "there is no account NOBODY"),
    ],
)
def test_a_correction_goes_to_an_account_that_takes_it(dsn: str, counter: str, said: str) -> None:
    """Else nothing is asked for, and the sentence says why."""
    with pytest.raises(ConfigError, match=said):
        ask_for(dsn, broken(dsn), counter, "why", "anna", None, None)


def test_the_database_holds_what_was_said(dsn: str) -> None:
    """Whoever writes past the program: one person is not two, and evidence stays."""
    break_id = broken(dsn)
    ask_for(dsn, break_id, "FEES", "why", "anna", None, None)
    with psycopg.connect(dsn, autocommit=True) as sql:
        one_person = b"""
            UPDATE treasury.correction SET approved_by = 'Anna ', approved_at = now(), posted_tx_id = gen_random_uuid()
            WHERE posted_tx_id IS NULL AND withdrawn_at IS NULL
        """
        with pytest.raises(psycopg.errors.CheckViolation, match="two_people"):
            sql.execute(one_person)
        with pytest.raises(psycopg.errors.RestrictViolation, match="stays as it was asked for"):
            sql.execute("UPDATE treasury.correction SET amount = 7")
        for table in ("statement", "recon_report", "recon_match", "recon_break", "correction"):
            with pytest.raises(psycopg.errors.RestrictViolation, match="is evidence"):
                sql.execute(f"DELETE FROM treasury.{table}".encode())  # noqa: S608
        with pytest.raises(psycopg.errors.RestrictViolation, match="what was compared stays"):
            sql.execute("UPDATE treasury.recon_break SET account = 'x'")


def test_a_refused_correction_leaves_nothing(dsn: str) -> None:
    """It waits as it was asked for, and another one may be asked for in its place."""
    break_id = broken(dsn)
    ask_for(dsn, break_id, "STUCK", "why", "anna", None, None)
    with pytest.raises(BallastError, match="cannot be corrected: an account is frozen"):
        approve(dsn, break_id, "boris")
    (waiting,) = read_breaks(dsn, break_id)
    assert "anna" == waiting["correction_asked_by"]
    ask_for(dsn, break_id, "OWED", "why", "carla", None, None)
    assert "posted" == approve(dsn, break_id, "anna")["outcome"]


def test_a_folder_that_lacks_the_account_is_one_sentence(dsn: str, file: Path, tmp_path: Path) -> None:
    """And nothing is compared."""
    take(dsn, {}, tmp_path / "kept", About("cluster", "2026-03-01T00:00:00Z", "closest"))
    with pytest.raises(ConfigError, match="the folder has no account NOBODY"):
        compare_folder(Settings(), tmp_path / "kept", [file], "bank:first", "NOBODY")
