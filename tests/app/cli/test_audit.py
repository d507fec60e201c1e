"""`ballast audit`: a verdict, its rows and a page, of a database that is named or of a folder that was kept."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from app.reports.audit.judge import checks
from connectors.embedded.postgres import embedded_postgres
from sinks.migrations import migrate
from tests.app.conftest import Ballast
from tests.app.reports.audit.audited import fill_books, open_books, take_books
from tests.app.surroundings import assert_one_sentence, open_database
from tests.sinks.ledger.story import as_superuser

pytestmark = pytest.mark.postgres

COLUMNS = {"invariant", "name", "holds", "verdict", "checked", "of", "breaches", "rows", "why"}


@pytest.fixture(scope="module")
def books(server: str) -> Iterator[str]:
    """The DSN of a database with books that are in order."""
    with open_books(server) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def kept(books: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of them, with the topics."""
    return take_books(books, tmp_path_factory.mktemp("kept") / "taken")


def test_a_folder_is_judged_without_a_server(ballast: Ballast, kept: Path) -> None:
    """With `--json` it is one object, with every check, its figures and its rows; nothing runs that it could ask."""
    said = ballast("audit", str(kept), "--json")
    report = said.json()
    assert (0, "pass", str(kept), "snapshot", 1) == (
        said.code,
        report["verdict"],
        report["folder"],
        report["kind"],
        report["format"],
    )
    assert [check.name for check in checks()] == [check["name"] for check in report["checks"]]
    assert [COLUMNS] * len(report["checks"]) == [set(check) for check in report["checks"]]


def test_a_named_database_is_judged_and_kept(ballast: Ballast, books: str, tmp_path: Path) -> None:
    """Without a broker what is promised of messages is nothing to check, and says so; the snapshot can be judged again."""
    said = ballast("audit", "--keep", "kept", "--json", settings={"BALLAST_POSTGRES__DSN": books})
    report = said.json()
    assert (0, "pass") == (said.code, report["verdict"])
    unchecked = {check["invariant"] for check in report["checks"] if check["verdict"] == "nothing to check"}
    assert {"I1", "I2", "I8", "I11", "I12", "I15", "S2", "S3", "S4", "T1", "T3"} == unchecked
    again = ballast("audit", str(tmp_path / "kept"), "--json").json()
    assert report["checks"] == again["checks"]


def test_a_breach_is_named_and_ends_with_one(ballast: Ballast, server: str, tmp_path: Path) -> None:
    """People read the check, what it promises and the row; the page has it too, and no address of anything else."""
    with open_database(server) as dsn:
        migrate(dsn)
        fill_books(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            as_superuser(connection, b"UPDATE ledger.balance SET settled_debit = settled_debit + 7 WHERE account_id = 3")
        said = ballast("audit", "--html", "audit.html", settings={"BALLAST_POSTGRES__DSN": dsn})
    assert 1 == said.code
    (shown,) = re.findall(r"^ *3 +USD +settled_debit +STABLESATS_OMNIBUS +(\d+) +(\d+)$", said.out, re.MULTILINE)
    assert 7 == int(shown[1]) - int(shown[0])
    assert said.out.rstrip().splitlines()[-1].startswith("breach: a snapshot of ")
    page = (tmp_path / "audit.html").read_text()
    assert ["STABLESATS_OMNIBUS"] == re.findall(r"<td class=\"\">settled_debit</td><td class=\"\">(\w+)</td>", page)
    assert 2 == page.count("<svg ")
    assert [] == re.findall(r"(?:src|href)=|<script|https?:", page)


def test_what_a_demo_has_left_is_judged(ballast: Ballast, folder: Path) -> None:
    """Its ledger is started for as long as it is read, its broker kept nothing; with `--live` it is not touched."""
    with embedded_postgres(folder / "postgres") as dsn:
        migrate(dsn)
        fill_books(dsn)
    report = ballast("audit", "--data", str(folder), "--json")
    assert (0, "pass", None) == (report.code, report.json()["verdict"], report.json()["system"]["cluster_id"])
    assert_one_sentence(ballast("audit", "--data", str(folder), "--live"), "nothing runs over", "ballast demo")


def test_what_cannot_be_judged_is_one_sentence(ballast: Ballast, books: str, kept: Path, tmp_path: Path) -> None:
    """No folder, a folder of something else, nothing that runs, and options that do not go together."""
    assert_one_sentence(ballast("audit", "nowhere"), "nowhere/archive.json cannot be read", "ballast audit --keep DIR")
    (tmp_path / "archive.json").write_text(json.dumps({"format": 1}))
    assert_one_sentence(ballast("audit", str(tmp_path)), "manifest.json cannot be read")
    assert_one_sentence(ballast("audit", "--data", "empty"), "nothing runs over empty", "ballast demo")
    assert_one_sentence(ballast("audit", "--live"), "nothing runs over")
    assert_one_sentence(ballast("audit", str(kept), "--live"), "neither live nor kept again")
    named = {"BALLAST_POSTGRES__DSN": books}
    assert_one_sentence(ballast("audit", "--keep", "archive.json", settings=named), "archive.json cannot be written to")
    assert_one_sentence(ballast("audit", "--keep", ".", settings=named), "has something in it; name a new folder")
    assert_one_sentence(ballast("audit", str(kept), "--html", "no/where.html"), "no/where.html cannot be written to")
