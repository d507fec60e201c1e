"""The whole ledger for beancount: its checker accepts what a demo and people have booked, and nothing that was changed since."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from beancount import loader
from beancount.core.data import Balance, Open, Transaction
from psycopg.conninfo import conninfo_to_dict

from app.reports.beancount import convert_export, export_beancount
from app.reports.verify import export_ledger
from domain.errors import ConfigError, InvariantError
from domain.proof.beancount import FIRST_LINE
from sinks.migrations import migrate
from tests.app.surroundings import open_database
from tests.sinks.ledger.product import tell_product
from tests.sinks.ledger.story import as_superuser

pytestmark = pytest.mark.postgres

BEAN_CHECK = Path(sys.executable).with_name("bean-check")
SEALS = ("2026-11-25T12:00:00Z", "2026-11-26T00:00:00Z")
"""Within the day of the recorded demo, and at its end."""

COUNTS = b"""
    SELECT (SELECT count(*) FROM ledger.tx), (SELECT count(*) FROM ledger.account WHERE NOT is_summary)
"""


@pytest.fixture(scope="module")
def product(server: str) -> Iterator[str]:
    """The ledger of the product, with two days of it sealed."""
    with open_database(server) as dsn:
        migrate(dsn)
        tell_product(dsn)
        with psycopg.connect(dsn) as connection:
            for until in SEALS:
                connection.execute("SELECT ledger.seal(%s)", (until,))
        yield dsn


@pytest.fixture
def other(product: str, server: str) -> Iterator[str]:
    """A copy of that ledger of the test's own."""
    with open_database(server, str(conninfo_to_dict(product)["dbname"])) as dsn:
        yield dsn


@pytest.fixture(scope="module")
def text(product: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is written of it."""
    file = tmp_path_factory.mktemp("exported") / "ledger.beancount"
    export_beancount(product, file)
    return file.read_text()


def complaints(text: str, folder: Path) -> list[str]:
    """What beancount has against a text."""
    file = folder / "ledger.beancount"
    file.write_text(text)
    return [error.message for error in loader.load_file(str(file))[1]]


def test_the_ledger_of_a_demo_is_accepted(product: str, text: str, tmp_path: Path) -> None:
    """Every transaction and every account is there, balances are asserted at three times, and beancount has no complaint."""
    file = tmp_path / "ledger.beancount"
    file.write_text(text)
    entries, errors, options = loader.load_file(str(file))
    assert ([], "Ballast") == (errors, options["title"])
    with psycopg.connect(product) as connection:
        counts = connection.execute(COUNTS).fetchone()
    settled = {entry.meta["code"] for entry in entries if isinstance(entry, Open)}
    assert (sum(isinstance(entry, Transaction) for entry in entries), len(settled)) == counts
    assert ["2026-11-25", "2026-11-26"] == sorted({str(e.date) for e in entries if isinstance(e, Balance)})[:2]
    assert 3 == len({entry.date for entry in entries if isinstance(entry, Balance)})


def test_its_checker_ends_as_it_should(text: str, tmp_path: Path) -> None:
    """`bean-check` itself ends with 0, and with 1 after one digit was changed."""
    file = tmp_path / "ledger.beancount"
    for said, code in ((text, 0), (raised(text, "  Assets:"), 1)):
        file.write_text(said)
        assert code == subprocess.run([BEAN_CHECK, "--no-cache", file], capture_output=True, check=False).returncode


def raised(text: str, begins: str) -> str:
    """The text with the last digit of the first amount on such a line changed."""
    changed = re.sub(
        rf"(?m)^({re.escape(begins)}.*?\d)(?=( ~ 0)? (BTC|USD)$)", lambda found: _other(found[1]), text, count=1
    )
    assert changed != text
    return changed


def _other(amount: str) -> str:
    return f"{amount[:-1]}{(int(amount[-1]) + 1) % 10}"


@pytest.mark.parametrize("begins", ["  Assets:", "  Liabilities:", "2026-11-26 balance", "2026-11-27 balance"])
def test_a_digit_that_was_changed_in_the_file_is_found(begins: str, text: str, tmp_path: Path) -> None:
    """In an entry, in what was closed, and in what the balances are."""
    assert [] != complaints(raised(text, begins), tmp_path)


def test_the_file_is_the_same_every_time(product: str, text: str, tmp_path: Path) -> None:
    """Byte for byte, from the database and from an export of it, whose number of bytes is told."""
    file, folder = tmp_path / "again.beancount", tmp_path / "csv"
    export_ledger(product, folder)
    for write, source in ((export_beancount, product), (convert_export, folder)):
        assert {"file": str(file), "bytes": len(text.encode())} == write(source, file)
        assert text == file.read_text()
        file.unlink()


@pytest.mark.parametrize(
    "statement",
    [
        b"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = (SELECT min(tx_id::TEXT)::UUID FROM ledger.tx)",
        b"UPDATE ledger.balance SET settled_debit = settled_debit + 1 WHERE (account_id, currency) = (3, 'USD')",
        b"UPDATE ledger.effective_delta SET delta = delta + 1 WHERE (account_id, currency) = (3, 'USD')",
        b"UPDATE ledger.tx SET effective_at = effective_at + '7 days' WHERE batch_id = 1",
    ],
)
def test_what_was_changed_in_the_database_is_found(statement: bytes, other: str, tmp_path: Path) -> None:
    """Past every guard, in entries, balances, sums by date or times: the file is written, and beancount refuses it."""
    change(other, statement)
    export_beancount(other, tmp_path / "exported")
    assert [] != complaints((tmp_path / "exported").read_text(), tmp_path)


def change(dsn: str, statement: bytes) -> None:
    """Change what nobody may change, past every guard."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert as_superuser(connection, statement)


def test_it_is_written_whole_or_not_at_all(other: str, text: str, tmp_path: Path) -> None:
    """Where rows do not fit each other, or are no text, what was there before stays, and nothing is beside it."""
    file, folder = tmp_path / "ledger.beancount", tmp_path / "csv"
    file.write_text(text)
    export_ledger(other, folder)
    headers = (folder / "tx.csv").read_bytes()
    (folder / "tx.csv").write_bytes(headers.replace(b"USER_BUYS_USD", b"USER_BUYS_US\xff", 1))
    with pytest.raises(InvariantError, match="no text"):
        convert_export(folder, file)
    change(other, b"DELETE FROM ledger.entry WHERE tx_id = (SELECT max(tx_id::TEXT)::UUID FROM ledger.tx) AND leg = 1")
    with pytest.raises(InvariantError, match="has not the entries"):
        export_beancount(other, file)
    assert text == file.read_text()
    assert {file, folder} == set(tmp_path.iterdir())


def test_another_of_its_kind_is_written_over(product: str, text: str, tmp_path: Path) -> None:
    """An export of before, an empty file, and what one that was killed has left half written beside it."""
    file = tmp_path / "ledger.beancount"
    for there in (FIRST_LINE, "", None):
        if there is not None:
            file.write_text(there)
        Path(f"{file}.new").write_text(text[:1000])
        export_beancount(product, file)
        assert text == file.read_text()
        assert [file] == list(tmp_path.iterdir())


@pytest.mark.parametrize("put", [lambda path: path.write_text("notes"), Path.mkdir, os.mkfifo])
@pytest.mark.parametrize("name", ["ledger.beancount", "ledger.beancount.new"])
def test_nothing_else_is_written_over(put: Callable[[Path], object], name: str, product: str, tmp_path: Path) -> None:
    """What is no export of before stays as it is, whatever it is; it is named, and so is the way out."""
    put(tmp_path / name)
    before = identity(tmp_path / name)
    with pytest.raises(ConfigError, match=f"{name} is something else .* name another file"):
        export_beancount(product, tmp_path / "ledger.beancount")
    assert [tmp_path / name] == list(tmp_path.iterdir())
    assert before == identity(tmp_path / name)


def identity(path: Path) -> tuple[int, ...]:
    """What of a file stays the same as long as nobody writes to it, whoever looks into it."""
    found = path.stat()
    return (found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns)


def test_a_place_that_cannot_be_written_to(product: str, tmp_path: Path) -> None:
    """It is named; so is an export that is not there."""
    with pytest.raises(ConfigError, match=r"nowhere/ledger.beancount cannot be written: No such file"):
        export_beancount(product, tmp_path / "nowhere" / "ledger.beancount")
    with pytest.raises(ConfigError, match=r"account.csv cannot be read"):
        convert_export(tmp_path, tmp_path / "ledger.beancount")
    assert [] == list(tmp_path.iterdir())
