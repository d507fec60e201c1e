"""What every check has to be, and an audit of ledgers of any kind."""

import ast
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.reports.audit.checks import AUDIT, BREACH, FIGURES, NOTHING, VIEWS, Check, carry_out, check_in, named_checks
from app.reports.audit.judge import FIRST, audit_folder, checks
from domain.ledger.accounts import CHART
from domain.ledger.journal import Transaction
from domain.ledger.leaves import on_leaves, with_leaves
from sinks.archive.snapshot import About, take
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from tests.app.reports.audit.audited import replayed
from tests.app.surroundings import ROOT, open_database
from tests.domain.ledger.ledger_workloads import ACCOUNTS, WORKLOADS

ABOUT = About(None, "2026-01-31T12:00:00Z", "closest")
NO_ROOM = ("operators", "domain.ledger.fold", "domain.ledger.judge", "domain.ledger.plain", "domain.ledger.memory")
NO_ROOM += ("domain.pairing", "sinks.ledger.writer")


@pytest.mark.parametrize("path", sorted(AUDIT.glob("[IST][0-9]*.sql")), ids=lambda path: path.stem)
def test_every_check_says_what_holds_and_what_a_row_is(path: Path) -> None:
    """An auditor reads first what is promised, then what a row means; views know the paths, and no check does."""
    lines = path.read_text().splitlines()
    assert lines[0].startswith(f"-- {path.stem.split('_')[0]}: ")
    assert 1 == sum(line.startswith("-- A row is ") for line in lines)
    assert 1 == sum(line.startswith(FIGURES) for line in lines)
    assert [] == [line for line in lines if "read_parquet" in line or "getvariable" in line]


def imported(module: str, seen: set[str]) -> set[str]:
    """Every module of ours that a module imports, and those that these import."""
    spec = find_spec(module)
    if module in seen or spec is None or spec.origin is None or not Path(spec.origin).is_relative_to(ROOT):
        return seen
    seen.add(module)
    for node in ast.walk(ast.parse(Path(spec.origin).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                if name.split(".")[0] in ("domain", "operators", "sinks", "connectors", "flows", "app"):
                    _try(name, seen)
    return seen


def _try(name: str, seen: set[str]) -> None:
    try:
        imported(name, seen)
    except ModuleNotFoundError:
        return


def test_who_judges_knows_nothing_of_who_wrote() -> None:
    """Neither the ledger's fold nor the pairing of legs is in what an audit of a folder is made of, however far one follows."""
    found = imported("app.reports.audit.judge", set())
    assert {"app.reports.audit.bodies", "domain.ledger.body", "sinks.archive.manifest"} <= found
    assert [] == [name for name in found if name.startswith(NO_ROOM)]


def test_what_cannot_be_judged_has_not_passed() -> None:
    """A check that DuckDB breaks off is a breach that says why; over nothing it is neither that nor a pass."""
    broken = Check("I3_x", "", "", lambda opened: opened.execute("SELECT 'x'::BIGINT").fetchall() and (1, 0, []))
    empty = Check("I3_y", "", "", lambda _: (0, 0, []))
    with duckdb.connect() as opened:
        assert BREACH == carry_out(broken, opened).verdict
        assert "Could not convert" in str(carry_out(broken, opened).rows[0]["cannot_be_judged"])
        assert NOTHING == carry_out(empty, opened).verdict


PIECES_OF_ONE = """-- I5: every entry is one.
-- A row is an entry that is not.
SELECT batch_id, amount FROM entry WHERE is_asked(batch_id) AND amount <> 1 ORDER BY batch_id, amount;
-- figures: entries
SELECT count(*) FROM entry;
"""
ENTRIES = "CREATE TABLE entry AS SELECT unnest(?::BIGINT[]) AS batch_id, unnest(?::BIGINT[]) AS amount"
BATCHES = "CREATE TABLE batch AS SELECT DISTINCT batch_id, dense_rank() OVER (ORDER BY batch_id) AS number FROM entry"


@given(st.lists(st.tuples(st.integers(-(2**63) + 1, 2**63 - 1) | st.integers(1, 9), st.integers(1, 2))), st.integers(1, 5))
def test_a_check_says_the_same_in_pieces(entries: list[tuple[int, int]], size: int) -> None:
    """Whatever the batches are and however large a piece, each row is judged once, also one of a batch that is not there."""
    pieces = f"-- pieces: ends\nSELECT batch_id FROM batch WHERE number % {size} = 0 ORDER BY 1;\n"
    lines = VIEWS.read_text().splitlines()
    macros = [line for line in lines if line.startswith("CREATE OR REPLACE MACRO") and line.endswith(";")]
    with TemporaryDirectory() as scratch, duckdb.connect() as opened:
        path = Path(scratch) / "I5_x.sql"
        opened.execute("\n".join(macros))
        opened.execute(ENTRIES, [[batch for batch, _ in entries], [amount for _, amount in entries]])
        opened.execute(f"{BATCHES} WHERE batch_id > 3")
        path.write_text(PIECES_OF_ONE)
        whole = carry_out(check_in(path), opened)
        path.write_text(PIECES_OF_ONE + pieces)
        assert whole == carry_out(check_in(path), opened)
        assert (len(entries), sum(amount != 1 for _, amount in entries)) == (whole.checked, whole.breaches)


@pytest.mark.postgres
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORKLOADS, st.integers(1, 12))
def test_any_ledger_passes(
    server: str, tmp_path_factory: pytest.TempPathFactory, work: list[Transaction], size: int
) -> None:
    """Whatever is posted, with holds, groups, repeats, conflicts and mistakes, in whatever batches: its books are in order."""
    folder = tmp_path_factory.mktemp("any") / "taken"
    with open_database(server) as dsn:
        migrate(dsn)
        with closing(PostgresLedger(dsn, accounts=ACCOUNTS)) as ledger:
            for start in range(0, len(work), size):
                ledger.post(work[start : start + size])
        take(dsn, {}, folder, ABOUT)
    report = audit_folder(folder)
    assert [] == [check for check in report["checks"] if check["verdict"] == BREACH]
    assert "pass" == report["verdict"]


@pytest.mark.postgres
def test_an_empty_ledger_has_nothing_to_check(server: str, tmp_path: Path) -> None:
    """It passes, and no check has passed over anything but the accounts; where pairs depend on the order, none is judged."""
    with open_database(server) as dsn:
        migrate(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM ledger.tx").fetchone() == (0,)
        take(dsn, {}, tmp_path / "taken", ABOUT._replace(pairing="first"))
    report = audit_folder(tmp_path / "taken")
    found = {check["name"]: check["verdict"] for check in report["checks"]}
    assert "pass" == report["verdict"]
    assert "not judged" == found.pop("I2_every_group_of_legs_is_paired_as_well_as_can_be")
    assert {NOTHING} == {said for name, said in found.items() if "account" not in name}
    assert FIRST in {check["why"] for check in report["checks"]}
    assert len(named_checks()) + 5 == len(checks())


@pytest.mark.postgres
def test_trades_on_leaves_are_judged_as_others(server: str, tmp_path: Path) -> None:
    """User trades that are spread over shards book the leaves of an account, and every check of them sums over these."""
    shards, booked = (0, 2, 3), replayed().ledger.transactions()
    with open_database(server) as dsn:
        migrate(dsn)
        for shard in shards:
            own = filter(None, (on_leaves(one, shards, shard) for one in booked))
            with closing(PostgresLedger(dsn, shard, accounts=with_leaves(CHART, shards))) as ledger:
                ledger.post([*own])
        take(dsn, {}, tmp_path / "taken", ABOUT)
    report = audit_folder(tmp_path / "taken")
    found = {check["name"]: check for check in report["checks"]}
    assert "pass" == report["verdict"], [check for check in report["checks"] if check["verdict"] == BREACH]
    assert 356 == found["I15_every_trade_books_what_its_legs_say"]["checked"]
    assert 3 == found["I5_every_batch_follows_the_one_before"]["checked"]
