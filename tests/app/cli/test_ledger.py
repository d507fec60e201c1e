"""`ballast ledger`: what it reports, how it ends, and that it finds and names whatever was changed in the ledger."""

import csv
import re
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
import pytest
from beancount import loader
from psycopg.conninfo import conninfo_to_dict

from app.reports.ledger import reverse, seal
from app.reports.verify import export_ledger, verify_database, verify_folder
from domain.errors import BallastError
from domain.ids import content_id
from domain.ledger.accounts import Account
from domain.ledger.journal import DEBIT, Group, Transaction
from domain.streams.gauges import Gauge
from domain.times import ms_of
from sinks.archive.snapshot import About, take
from sinks.ledger.writer import PostgresLedger
from sinks.migrations import migrate
from tests.app.conftest import Ballast
from tests.app.gauges import say
from tests.app.surroundings import Said, open_database, run_ballast
from tests.sinks.ledger.story import (
    BACK,
    BATCHES_0,
    BOB,
    CAPTURE,
    CASH,
    DEPOSIT,
    HOLD,
    MISTAKE,
    OWED,
    TILL,
    as_superuser,
    tell,
)

pytestmark = pytest.mark.postgres

BROKEN = 70


@pytest.fixture(scope="module")
def told(server: str) -> Iterator[str]:
    """The name of a database with the story in it, which nobody is connected to."""
    with open_database(server) as dsn:
        migrate(dsn)
        tell(dsn)
        contradict(dsn)
        yield str(conninfo_to_dict(dsn)["dbname"])


def contradict(dsn: str) -> None:
    """Say of a deposit that it was another one."""
    with closing(PostgresLedger(dsn, 0, accounts=())) as ledger:
        ledger.post([DEPOSIT._replace(entries=tuple(entry._replace(amount=50_01) for entry in DEPOSIT.entries))])


@pytest.fixture
def dsn(server: str, told: str) -> Iterator[str]:
    """A copy of the story of the test's own."""
    with open_database(server, told) as dsn:
        yield dsn


@pytest.fixture
def ledger(dsn: str, tmp_path: Path) -> Ballast:
    """Runs `ballast ledger` over the test's ledger."""
    return partial(run_ballast, "ledger", cwd=tmp_path, settings={"BALLAST_POSTGRES__DSN": dsn})


def assert_refused(said: Said, *words: str, code: int = 1) -> None:
    """One sentence on standard error, with these words in it, and nothing on standard output."""
    assert (code, "") == (said.code, said.out), said
    lines = said.err.splitlines()
    assert 1 == len(lines), said.err
    assert [] == [word for word in words if word not in lines[0]], said.err


def test_balances_are_told_with_their_units(ledger: Ballast) -> None:
    """For a person an aligned table that names the unit, for a program one object."""
    said = ledger("balance", OWED)
    assert 0 == said.code
    lines = [re.split(r"\s{2,}", line) for line in said.out.splitlines() if line.startswith(OWED)]
    assert [OWED, "USD", "cents", "7200", "-500", "0", "6700", "2"] == lines[0]
    report = ledger("balance", OWED, "--json").json()
    assert {OWED: 7200, "OWED/ALICE": 4500, BOB: 2700} == {row["account"]: row["settled"] for row in report["balances"]}


def test_balances_of_a_time_are_by_either_axis(ledger: Ballast) -> None:
    """What was thought then, and what is known of then; a bare date is its midnight in UTC."""
    recorded = ledger("balance", OWED, "--as-of", "2024-05-03", "--json").json()
    effective = ledger("balance", OWED, "--as-of", "2024-05-03T00:00:00Z", "--effective", "--json").json()
    assert ("recorded", "effective") == (recorded["axis"], effective["axis"])
    assert "2024-05-03T00:00:00Z" == recorded["as_of"] == effective["as_of"]
    assert (8000, 8700) == (recorded["balances"][0]["settled"], effective["balances"][0]["settled"])
    everything = ledger("balance", "--as-of", "2024-05-03", "--json").json()
    assert {CASH, "OWED/ALICE", BOB} == {row["account"] for row in everything["balances"]}


def test_statements_open_and_close(ledger: Ballast) -> None:
    """One currency of one account over a day, from what was there before to what was there after."""
    arguments = ("statement", BOB, "--currency", "USD", "--from", "2024-05-02", "--to", "2024-05-03", "--effective")
    lines = ledger(*arguments, "--json").json()["lines"]
    assert [("opening", 3700), ("entry", 4200), ("closing", 4200)] == [
        (line["line"], line["balance"]) for line in lines if line["layer"] == "settled"
    ]
    assert ("story/0", 130) == (lines[1]["source"], lines[1]["source_offset"])
    assert "2024-05-02T07:12:00Z" in ledger(*arguments).out


@pytest.mark.parametrize("axis", [(), ("--effective",)])
def test_a_statement_as_of_a_time_closes_with_the_balance_of_that_time(axis: tuple[str, ...], ledger: Ballast) -> None:
    """What happened at that very time is in it, as it is in the balance; where it ends is said once."""
    arguments = ("statement", BOB, "--currency", "USD", *axis)
    at = ledger(*arguments, "--json").json()["lines"][1][f"{'effective' if axis else 'recorded'}_at"]
    lines = ledger(*arguments, "--as-of", at, "--json").json()["lines"]
    closing = [line["balance"] for line in lines if (line["line"], line["layer"]) == ("closing", "settled")]
    balances = ledger("balance", BOB, "--as-of", at, *axis, "--json").json()["balances"]
    assert closing == [row["settled"] for row in balances if row["currency"] == "USD"]
    assert any(line["line"] == "entry" for line in lines)
    assert 2 == ledger(*arguments, "--as-of", at, "--to", at).code


@pytest.mark.parametrize(
    "arguments", [(), ("--as-of", "2024-05-03"), ("--as-of", "2024-05-03", "--effective"), ("--effective",)]
)
def test_trial_balances_tie(arguments: tuple[str, ...], ledger: Ballast) -> None:
    """Now and at any time, by either axis."""
    report = ledger("trial-balance", *arguments, "--json").json()
    assert report["is_balanced"]
    assert [] == [total for total in report["totals"] if total["debit"] != total["credit"]]


def test_a_trial_balance_that_does_not_tie_ends_with_70(ledger: Ballast, dsn: str) -> None:
    """The report is given all the same."""
    change(dsn, b"UPDATE ledger.balance SET settled_debit = settled_debit + 1 WHERE account_id = 101")
    said = ledger("trial-balance", "--json")
    assert (BROKEN, False) == (said.code, said.json()["is_balanced"])


def test_an_account_that_is_not_there(ledger: Ballast) -> None:
    """It is named, with the command that lists those that are."""
    for command in ("balance", "statement"):
        assert_refused(ledger(command, "NOBODY"), "NOBODY", "ballast ledger balance")


@pytest.mark.parametrize("text", ["yesterday", "2024-13-01", ""])
def test_a_time_that_is_none(text: str, ledger: Ballast) -> None:
    """It is an error of usage, with an example of a time."""
    said = ledger("balance", "--as-of", text)
    assert (2, "") == (said.code, said.out)
    assert "2024-05-01" in said.err


@pytest.mark.parametrize("command", [("balance",), ("balance", "--effective"), ("statement", OWED), ("trial-balance",)])
@pytest.mark.parametrize(
    "text", ["9999-12-31", "9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00"]
)
def test_for_ever_and_since_ever_are_times(text: str, command: tuple[str, ...], ledger: Ballast) -> None:
    """The ends of time, as people write them, are answered in any zone: with all there is, or with nothing."""
    said = ledger(*command, "--as-of", text, "--json")
    assert (0, "") == (said.code, said.err)


@pytest.mark.parametrize("act", [("seal", "--until"), ("reverse", BATCHES_0[2][1].id, "--effective-at")])
def test_acts_for_good_are_not_dated_ahead(act: tuple[str, ...], ledger: Ballast) -> None:
    """A slip in the year closes nothing and takes nothing back."""
    said = ledger(*act, "2926-12-01")
    assert (2, "") == (said.code, said.out)
    assert "2926-12-01 is still to come" in " ".join(said.err.replace("│", " ").split())


def test_the_database_is_found_without_a_broker(ballast: Ballast) -> None:
    """Without a setting and without anything that runs, it says what to start."""
    assert_refused(ballast("ledger", "balance"), "ballast demo", code=78)


def change(dsn: str, statement: bytes, **values: object) -> None:
    """Change what nobody may change, past every guard."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert as_superuser(connection, statement, values)


def broken(dsn: str) -> dict[int, list[str]]:
    """The batches that are broken, and what in them."""
    return {one["batch_id"]: one["what"] for one in verify_database(dsn, lambda _: None)["broken"]}


FORGED = b"INSERT INTO ledger.resolution SELECT %%(%s)s, '%s', 0, TRUE, %%(%s)s"
FORGED_HISTORY = b"UPDATE ledger.account_change SET facts = replace(facts, '\"1\"', '\"-1\"')"
CHANGES = [
    (b"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = %(deposit)s AND leg = 1", {1: ["entry"]}),
    (b"UPDATE ledger.entry SET balance_after = balance_after + 1 WHERE tx_id = %(capture)s AND leg = 2", {4: ["entry"]}),
    (b"UPDATE ledger.entry SET side = -side WHERE tx_id = %(deposit)s", {1: ["entry"]}),
    (b"""UPDATE ledger.tx SET meta = '{"name":"bob''s cars"}' WHERE tx_id = %(hold)s""", {3: ["metadata"]}),
    (b"UPDATE ledger.tx SET expires_at = expires_at + '1 day' WHERE tx_id = %(hold)s", {3: ["metadata"]}),
    (b"UPDATE ledger.tx SET source = 'storz/0' WHERE tx_id = %(capture)s", {4: ["header"]}),
    (b"UPDATE ledger.tx SET effective_at = effective_at + '1 us' WHERE tx_id = %(capture)s", {4: ["header"]}),
    (b"UPDATE ledger.tx SET n_entries = n_entries + 1 WHERE tx_id = %(capture)s", {4: ["header"]}),
    (b"UPDATE ledger.tx SET is_final = TRUE WHERE tx_id = %(capture)s", {4: ["metadata"]}),
    (b"UPDATE ledger.tx SET group_id = 'both', group_size = 2 WHERE tx_id = %(hold)s", {3: ["metadata"]}),
    (b"UPDATE ledger.reject SET reason = 'over_limix'", {2: ["reject"]}),
    (b"UPDATE ledger.reject SET account = account || 'X'", {2: ["header", "reject"]}),
    (b"UPDATE ledger.reject SET currency = NULL", {2: ["header", "reject"]}),
    (b"UPDATE ledger.reject SET shortfall = shortfall + 1", {2: ["header", "reject"]}),
    (b"UPDATE ledger.reject SET payload = replace(payload::TEXT, '9900', '9901')::JSON", {2: ["reject"]}),
    (b"DELETE FROM ledger.reject", {2: ["reject"]}),
    (b"UPDATE ledger.conflict SET source = 'storz/0'", {7: ["conflict"]}),
    (b"UPDATE ledger.conflict SET body_hash = set_byte(body_hash, 7, get_byte(body_hash, 7) # 1)", {7: ["conflict"]}),
    (b"UPDATE ledger.conflict SET payload = replace(payload::TEXT, '5001', '5002')::JSON", {7: ["conflict"]}),
    (b"DELETE FROM ledger.conflict", {7: ["conflict"]}),
    (b"UPDATE ledger.batch SET hash = set_byte(hash, 7, get_byte(hash, 7) # 1) WHERE batch_id = 3", {3: ["link"]}),
    (
        b"UPDATE ledger.batch SET prev_hash = set_byte(prev_hash, 7, get_byte(prev_hash, 7) # 1) WHERE batch_id = 3",
        {3: ["link"]},
    ),
    (
        b"UPDATE ledger.batch SET content_hash = set_byte(content_hash, 7, get_byte(content_hash, 7) # 1) WHERE batch_id = 3",
        {3: ["batch"]},
    ),
    (b"UPDATE ledger.batch SET fence = fence + 1 WHERE batch_id = 3", {3: ["batch"]}),
    (b"UPDATE ledger.batch SET shard = 1 - shard WHERE batch_id = 3", {3: ["batch"]}),
    (b"UPDATE ledger.batch SET n_duplicates = 1 WHERE batch_id = 3", {3: ["batch"]}),
    (b"UPDATE ledger.batch SET n_conflicts = 1 WHERE batch_id = 3", {3: ["batch"]}),
    (b"""UPDATE ledger.batch SET source = '{"story/0":[120, 130]}' WHERE batch_id = 3""", {3: ["batch"]}),
    (b"UPDATE ledger.batch SET recorded_at = recorded_at + '1 us' WHERE batch_id = 3", {3: ["batch"]}),
    (b"DELETE FROM ledger.batch WHERE batch_id = 3", {3: ["batch"]}),
    (b"UPDATE ledger.effective_delta SET delta = delta + 1 WHERE batch_id = 3 AND account_id = 104", {3: ["sum"]}),
    (b"UPDATE ledger.effective_delta SET effective_date = effective_date + 1 WHERE batch_id = 6", {6: ["sum"]}),
    (b"DELETE FROM ledger.effective_delta WHERE batch_id = 4 AND account_id = 101", {4: ["sum"]}),
    (b"INSERT INTO ledger.effective_delta VALUES (101, 'USD', 1, '2024-05-01', 2, 7)", {2: ["sum"]}),
    (b"INSERT INTO ledger.effective_delta VALUES (101, 'USD', 1, '2024-05-01', 9, 7)", {9: ["batch"]}),
    (FORGED % (b"deposit", b"reversed", b"hold"), {3: ["resolution"]}),
    (b"INSERT INTO ledger.resolution SELECT %(deposit)s, 'reversed', 0, TRUE, gen_random_uuid()", {0: ["batch"]}),
    (b"UPDATE ledger.resolution SET is_final = TRUE WHERE tx_id = %(capture)s", {4: ["resolution"]}),
    (b"UPDATE ledger.resolution SET cause_tx_id = %(deposit)s WHERE tx_id = %(capture)s", {4: ["resolution"]}),
    (b"DELETE FROM ledger.resolution WHERE relation = 'reversed'", {2: ["resolution"]}),
]


@pytest.mark.parametrize(("statement", "expected"), CHANGES)
def test_what_was_changed_in_the_database_is_named(dsn: str, statement: bytes, expected: dict[int, list[str]]) -> None:
    """Exactly the batch that was changed, and the part of it."""
    change(dsn, statement, deposit=DEPOSIT.id, capture=CAPTURE.id, hold=HOLD.id)
    assert expected == broken(dsn)


ACCOUNTS_CHANGED = [
    (b"UPDATE ledger.account SET normal_side = -normal_side WHERE code = 'TILL'", (TILL, "normal_side", "-1", "1"), []),
    (b"UPDATE ledger.account SET parent_id = NULL WHERE code = 'OWED/BOB'", (BOB, "parent_id", r"\N", "102"), []),
    (b"UPDATE ledger.account SET code = 'OWED/BOP' WHERE code = 'OWED/BOB'", (BOB, "code", "OWED/BOP", BOB), []),
    (b"UPDATE ledger.account SET currency = 'EUR' WHERE code = 'OWED'", (OWED, "currency", "EUR", "USD"), []),
    (b"UPDATE ledger.account SET meaning = 'all' WHERE code = 'CASH'", (CASH, "meaning", "all", ""), []),
    (b"UPDATE ledger.account SET status = 'frozen' WHERE code = 'CASH'", (CASH, "status", "frozen", "open"), []),
    (b"UPDATE ledger.account SET min_available = 1 WHERE code = 'OWED/BOB'", (BOB, "min_available", "1", "0"), []),
    (b"UPDATE ledger.account SET is_summary = FALSE WHERE code = 'OWED'", (OWED, "is_summary", "false", "true"), []),
    (b"INSERT INTO ledger.account (account_id, code, journal, normal_side) VALUES (9, 'EVE', '', 1)", ("9", "account"), []),
    (b"DELETE FROM ledger.account WHERE code = 'UNUSED'", ("UNUSED", "account", None, "108"), []),
    (b"UPDATE ledger.account SET normal_side = 1 WHERE code = 'UNUSED'", ("UNUSED", "normal_side", "1", "-1"), []),
    (FORGED_HISTORY + b", hash = sha256('') WHERE revision = 1", (CASH, "change 1"), []),
    (FORGED_HISTORY + b" WHERE revision = 1", (CASH, "change 1"), []),
    (b"UPDATE ledger.account_change SET changed_by = 'eve' WHERE revision = 2", (OWED, "change 2"), []),
    (b"DELETE FROM ledger.account_change WHERE revision = 1", (OWED, "change 2"), []),
    (b"DELETE FROM ledger.account_change WHERE revision > 3", ("103", "account"), [1, 2, 3, 4, 5, 6, 7]),
]


@pytest.mark.parametrize(("statement", "account", "batches"), ACCOUNTS_CHANGED)
def test_an_account_that_was_changed_is_named(
    statement: bytes, account: tuple[str | None, ...], batches: list[int], dsn: str
) -> None:
    """What it says and what its history tells, whether anything was booked on it or not; no batch is, unless history is gone."""
    with psycopg.connect(dsn) as connection:
        connection.execute(
            "INSERT INTO ledger.account (account_id, code, journal, normal_side) VALUES (108, 'UNUSED', '', -1)"
        )
    change(dsn, statement)
    report = verify_database(dsn, lambda _: None)
    assert not report["is_intact"]
    assert account == tuple(report["accounts"][0].values())[: len(account)], report["accounts"]
    assert batches == [one["batch_id"] for one in report["broken"]]


def test_an_account_may_change_as_the_law_allows(ledger: Ballast, dsn: str) -> None:
    """It is opened, limited, frozen and closed, with each step told; all that is proved stays proved."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ledger.account (code, journal, normal_side, meaning) VALUES (%s, 'A', 1, %s)", ("t\tb", "a,\n")
        )
        connection.execute("UPDATE ledger.account SET status = 'frozen', max_balance = 9 WHERE journal = 'A'")
        connection.execute("UPDATE ledger.account SET status = 'closed' WHERE journal = 'A'")
    ledger("export", "exported")
    for where in ((), ("--from", "exported")):
        report = ledger("verify", *where, "--json").json()
        assert ([], True) == (report["accounts"], report["is_intact"])


@pytest.mark.parametrize("name", ["account.csv", "account_change.csv"])
def test_any_byte_of_the_accounts_that_is_flipped_is_found(name: str, dsn: str, tmp_path: Path) -> None:
    """Each byte in turn: an account is named, and no batch is, whatever hangs on accounts, unless a quote swallows rows."""
    export_ledger(dsn, tmp_path)
    path, whole = tmp_path / name, (tmp_path / name).read_bytes()
    for at in range(whole.index(b"\n") + 1, len(whole)):
        flipped = bytes([whole[at] ^ (1 << at % 8)])
        path.write_bytes(whole[:at] + flipped + whole[at + 1 :])
        report = verify_folder(tmp_path, lambda _: None)
        assert not report["is_intact"], (at, whole[at - 9 : at + 9])
        assert flipped == b'"' or report["broken"] == [], (at, whole[at - 9 : at + 9])
        assert report["accounts"]


def test_a_ledger_that_is_whole_verifies(ledger: Ballast) -> None:
    """It counts what it has seen, and finds nothing."""
    report = ledger("verify", "--json").json()
    assert (7, 11, 1, True) == (report["batches"], report["transactions"], report["rejects"], report["is_intact"])
    assert [1, [], [], []] == [report[name] for name in ("conflicts", "broken", "balances", "seals")]


def test_a_ledger_that_is_broken_ends_with_70(ledger: Ballast, dsn: str) -> None:
    """The batch is named, to a person and to a program."""
    change(dsn, CHANGES[0][0], deposit=DEPOSIT.id)
    said = ledger("verify", "--json")
    assert (BROKEN, [1]) == (said.code, [one["batch_id"] for one in said.json()["broken"]])
    assert DEPOSIT.id in ledger("verify").out


def test_an_export_is_verified_without_a_database(ledger: Ballast, ballast: Ballast, tmp_path: Path) -> None:
    """The same counts, with no setting that names a database; and 70 when a byte of it is another one."""
    written = ledger("export", "exported", "--json").json()
    assert {path.name: path.stat().st_size for path in (tmp_path / "exported").iterdir()} == written["bytes"]
    said = ballast("ledger", "verify", "--from", "exported", "--json")
    assert (0, 11, True) == (said.code, said.json()["transactions"], said.json()["is_intact"])
    path = tmp_path / "exported" / "entry.csv"
    path.write_bytes(path.read_bytes().replace(b",5000,", b",5001,", 1))
    again = ballast("ledger", "verify", "--from", "exported", "--json")
    assert (BROKEN, [1]) == (again.code, [one["batch_id"] for one in again.json()["broken"]])


@pytest.mark.parametrize(
    "name", ["batch.csv", "tx.csv", "entry.csv", "reject.csv", "conflict.csv", "effective_delta.csv", "resolution.csv"]
)
def test_any_byte_of_an_export_that_is_flipped_is_found(name: str, dsn: str, tmp_path: Path) -> None:
    """Every seventh byte in turn, whatever it is: the batch that its line begins with is named."""
    export_ledger(dsn, tmp_path)
    path, whole = tmp_path / name, (tmp_path / name).read_bytes()
    for at in range(whole.index(b"\n") + 1, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        line = whole.count(b"\n", 0, at)
        batch_id = int(whole.split(b"\n")[line].split(b",")[0])
        named = [one["batch_id"] for one in verify_folder(tmp_path, lambda _: None)["broken"]]
        assert batch_id in named, (at, whole[at - 9 : at + 9])


def test_any_byte_of_the_balances_that_is_flipped_is_found(dsn: str, tmp_path: Path) -> None:
    """No batch is named, and a balance is."""
    export_ledger(dsn, tmp_path)
    path = tmp_path / "balance.csv"
    whole = path.read_bytes()
    for at in range(whole.index(b"\n") + 1, len(whole), 3):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 2]) + whole[at + 1 :])
        report = verify_folder(tmp_path, lambda _: None)
        assert ([], False) == (report["broken"], report["is_intact"])
        assert report["balances"], (at, whole[at - 9 : at + 9])


def test_a_balance_that_was_changed_is_named(ledger: Ballast, dsn: str) -> None:
    """With what it says and what its entries come to; the chain is whole."""
    change(dsn, b"UPDATE ledger.balance SET settled_debit = settled_debit + 1 WHERE account_id = 101")
    said = ledger("verify", "--json")
    assert (BROKEN, []) == (said.code, said.json()["broken"])
    (other,) = said.json()["balances"]
    assert (CASH, "USD", "settled_debit", 1) == (
        other["account"],
        other["currency"],
        other["column"],
        other["said"] - other["counted"],
    )
    assert "settled_debit" in ledger("verify").out


def test_a_ledger_that_was_cut_off_is_found(dsn: str) -> None:
    """Of a last batch that is gone with all its rows, the balances still know."""
    tail = (
        b"DELETE FROM ledger.entry USING ledger.tx t WHERE t.tx_id = entry.tx_id AND t.batch_id = 6",
        b"DELETE FROM ledger.tx WHERE batch_id = 6",
        b"DELETE FROM ledger.batch WHERE batch_id = 6",
        b"DELETE FROM ledger.effective_delta WHERE batch_id = 6",
    )
    for statement in tail:
        change(dsn, statement)
    report = verify_database(dsn, lambda _: None)
    assert ([], False) == (report["broken"], report["is_intact"])
    assert {TILL, BACK} == {one["account"] for one in report["balances"]}


def test_a_folder_that_is_no_export(ballast: Ballast, tmp_path: Path) -> None:
    """A file that is missing is named, and so is one with other columns."""
    assert_refused(ballast("ledger", "verify", "--from", "nowhere"), "account.csv", "ballast ledger export", code=78)
    (tmp_path / "account.csv").write_text("a,b\n")
    assert_refused(ballast("ledger", "verify", "--from", "."), "account.csv", "columns", code=78)


def test_progress_is_told(dsn: str) -> None:
    """Whoever verifies hears of every batch."""
    heard: list[int] = []
    verify_database(dsn, heard.append)
    assert [1, 2, 3, 4, 5, 6, 7] == heard


def test_a_seal_is_told_and_checked(ledger: Ballast, dsn: str) -> None:
    """What was closed is told day by day, twice is once, and a change after it ends verification with 70."""
    report = ledger("seal", "--until", "2024-05-03", "--json").json()
    assert [("2024-05-01", 4), ("2024-05-02", 3)] == [(day["day"], day["transactions"]) for day in report["days"]]
    assert_refused(ledger("seal", "--until", "2024-05-03"), "sealed until")
    assert ledger("verify", "--json").json()["seals"][0]["is_sound"]
    change(dsn, b"UPDATE ledger.closed_period SET manifest = jsonb_set(manifest, '{days,0,transactions}', '9')")
    ledger("export", "exported")
    for said in (ledger("verify", "--json"), ledger("verify", "--from", "exported", "--json")):
        assert (BROKEN, [], ["2024-05-01"]) == (said.code, said.json()["broken"], said.json()["seals"][0]["differing_days"])


def test_a_period_does_not_end_after_what_is_on_its_way(ledger: Ballast, dsn: str) -> None:
    """While a leg is expected to be paired it is said since when; up to then the days can be closed."""
    since_ms = ms_of(datetime(2024, 5, 2, 12, tzinfo=UTC))
    say(dsn, Gauge("pair", "pair-0", "fresh_waiting_since_ms", since_ms), Gauge("pair", "pair-0", "waiting_legs", 3))
    assert_refused(ledger("seal", "--until", "2024-05-03"), "3 legs", "since 2024-05-02T12:00:00Z")
    assert 0 == ledger("seal", "--until", "2024-05-02").code
    say(dsn, Gauge("pair", "pair-0", "fresh_waiting_since_ms", 0))
    assert 0 == ledger("seal", "--until", "2024-05-03").code


@pytest.mark.parametrize("end", ["--to", "--as-of"])
def test_a_statement_does_not_end_before_it_begins(end: str, ledger: Ballast) -> None:
    """Times that were mixed up are no empty period."""
    said = ledger("statement", OWED, "--from", "2024-05-02", end, "2024-05-01")
    assert (2, "") == (said.code, said.out)
    assert "cannot end before that" in " ".join(said.err.replace("│", " ").split())


def test_a_reversal_names_what_it_reverses(ledger: Ballast) -> None:
    """It is posted once however often it is asked for, takes back exactly what moved, and the chain stays whole."""
    transfer = BATCHES_0[2][1]
    command = ("reverse", transfer.id, "--effective-at", "2024-05-04", "--reason", "not meant", "--json")
    first, again = ledger(*command).json(), ledger(*command).json()
    assert (transfer.id, "posted", "duplicate") == (first["reverses"], first["outcome"], again["outcome"])
    assert first["transaction_id"] == again["transaction_id"]
    balances = ledger("balance", OWED, "--json").json()["balances"]
    assert {"OWED/ALICE": 5000, BOB: 2200} == {row["account"]: row["settled"] for row in balances[1:]}
    assert ledger("verify", "--json").json()["is_intact"]


def test_a_reversal_keeps_its_reason(ledger: Ballast, dsn: str) -> None:
    """Why something was taken back stands in its metadata."""
    ledger("reverse", BATCHES_0[2][1].id, "--effective-at", "2024-05-04T01:02:03.004Z", "--reason", "not meant")
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT meta, effective_at FROM ledger.tx WHERE template = 'REVERSAL' ORDER BY batch_id DESC"
        )
        newest = rows.fetchall()[0]
    assert ({"reason": "not meant"}, datetime(2024, 5, 4, 1, 2, 3, 4000, UTC)) == newest


def test_what_cannot_be_reversed_is_said(ledger: Ballast, dsn: str) -> None:
    """What is not there, was reversed before, is only held, or would be undone before it was done."""
    at = ("--effective-at", "2024-05-04")
    assert_refused(ledger("reverse", "018bcfe5-6800-8000-8000-000000000000", *at), "no transaction")
    assert_refused(ledger("reverse", MISTAKE.id, *at), MISTAKE.id, "it has been reversed before")
    assert_refused(ledger("reverse", HOLD.id, *at), "voided")
    assert_refused(ledger("reverse", DEPOSIT.id, "--effective-at", "2024-05-01"), "before it happened")
    assert 2 == ledger("reverse", "something", *at).code


def test_a_reversal_into_a_closed_period_is_refused(dsn: str) -> None:
    """The period stays what it was sealed as."""
    seal(dsn, datetime(2024, 5, 4, tzinfo=UTC))
    with pytest.raises(BallastError, match="closed period"):
        reverse(dsn, BATCHES_0[2][1].id, datetime(2024, 5, 3, tzinfo=UTC), None)


def rejected(dsn: str) -> Transaction:
    """A deposit that the ledger rejects, since an account that it needs is not there yet."""
    entries = tuple(entry._replace(account="LATE") if entry.account == CASH else entry for entry in DEPOSIT.entries)
    transaction = DEPOSIT._replace(id=content_id("late"), entries=entries)
    with closing(PostgresLedger(dsn, 0, accounts=())) as ledger:
        assert ["rejected"] == [verdict.outcome for verdict in ledger.post([transaction]).verdicts]
    return transaction


def open_late(dsn: str) -> None:
    """Open the account that was missing."""
    PostgresLedger(dsn, 0, accounts=[Account(990, "LATE", DEBIT, "Late", "USD")]).close()


def test_what_was_rejected_is_booked_once_it_can_be(ledger: Ballast, dsn: str) -> None:
    """While the cause stands it is refused by name; then it is booked once, at its own time, with what it says of itself."""
    late = rejected(dsn)
    assert_refused(ledger("rebook", late.id), "cannot be booked", "LATE")
    open_late(dsn)
    first, again = (ledger("rebook", late.id, "--reason", "opened", "--json").json() for _ in range(2))
    assert ("posted", "duplicate", late.template) == (first["outcome"], again["outcome"], first["template"])
    assert late.effective_at_ms == ms_of(datetime.fromisoformat(first["effective_at"]))
    (row,) = ledger("balance", "LATE", "--json").json()["balances"]
    assert DEPOSIT.entries[0].amount == row["settled"]
    assert ledger("verify", "--json").json()["is_intact"]


def test_what_happened_in_a_closed_period_is_booked_after_it(ledger: Ballast, dsn: str) -> None:
    """The first open moment is when it is booked; asked for again at another time, it is still booked once."""
    seal(dsn, datetime(2024, 5, 4, tzinfo=UTC))
    late = rejected(dsn)
    open_late(dsn)
    assert_refused(ledger("rebook", late.id, "--effective-at", "2024-05-02"), "closed period")
    booked = ledger("rebook", late.id, "--json").json()
    assert "2024-05-04T00:00:00Z" == booked["effective_at"]
    assert_refused(ledger("rebook", late.id, "--effective-at", "2024-05-05"), "asked for before with another time")
    (row,) = ledger("balance", "LATE", "--json").json()["balances"]
    assert DEPOSIT.entries[0].amount == row["settled"]


def test_what_cannot_be_booked_again_is_said(ledger: Ballast, dsn: str) -> None:
    """What was posted, or never came, or was refused with its group."""
    assert_refused(ledger("rebook", DEPOSIT.id), f"no transaction {DEPOSIT.id} was rejected")
    member = DEPOSIT._replace(id=content_id("member"), group=Group("pay day", 2))
    with closing(PostgresLedger(dsn, 0, accounts=())) as ledger_:
        ledger_.post([member])
    assert_refused(ledger("rebook", member.id), "with its group pay day")


def test_an_act_that_is_refused_can_be_tried_again(ledger: Ballast, dsn: str) -> None:
    """A refusal of what a person asks for leaves nothing: the same act with another reason or after a change is judged anew."""
    transfer, batches = BATCHES_0[2][1].id, "SELECT count(*) FROM ledger.batch"
    with psycopg.connect(dsn, autocommit=True) as connection:
        before = connection.execute(batches).fetchone()
        assert_refused(ledger("reverse", transfer, "--effective-at", "2024-05-01"), "before it happened")
        assert before == connection.execute(batches).fetchone()
    again = ledger("reverse", transfer, "--effective-at", "2024-05-01", "--reason", "really")
    assert_refused(again, "before it happened")
    assert 0 == ledger("reverse", transfer, "--effective-at", "2024-05-04").code


def test_the_ledger_is_exported_for_beancount(ledger: Ballast, dsn: str, tmp_path: Path) -> None:
    """As one file, the same from the database and from an export, which beancount accepts; it knows the heads of the chains."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT ledger.seal('2024-05-02 12:00Z')")
    assert 0 == ledger("export", "exported").code
    report = ledger("export", "--beancount", "ledger.beancount", "--json").json()
    written = (tmp_path / "ledger.beancount").read_bytes()
    assert {"file": "ledger.beancount", "bytes": len(written)} == report
    assert [] == loader.load_file(str(tmp_path / "ledger.beancount"))[1]
    said = ledger("export", "--beancount", "again.beancount", "--from", "exported")
    assert (0, f"file: again.beancount\nbytes: {len(written)}\n") == (said.code, said.out)
    assert written == (tmp_path / "again.beancount").read_bytes()
    assert ledger("verify", "--json").json()["heads"] == re.findall(r"^;; (\d+:\d+:\w{64})$", written.decode(), re.MULTILINE)


def test_an_export_goes_to_one_place(ledger: Ballast, tmp_path: Path) -> None:
    """A folder or a file, and what is something else is not written over."""
    for arguments in ((), ("exported", "--beancount", "ledger.beancount"), ("--from", "other")):
        said = ledger("export", *arguments)
        assert (2, "") == (said.code, said.out)
        assert "--beancount" in said.err
    (tmp_path / "notes").write_text("mine")
    assert_refused(ledger("export", "--beancount", "notes"), "notes is something else", "name another file", code=78)
    assert "mine" == (tmp_path / "notes").read_text()


def test_an_export_has_every_entry_that_there_is(ledger: Ballast, dsn: str, tmp_path: Path) -> None:
    """Also those of a transaction whose header is gone: they are of no batch, stand before the first, and are named."""
    change(dsn, b"DELETE FROM ledger.tx WHERE tx_id = %(capture)s", capture=CAPTURE.id)
    with psycopg.connect(dsn) as connection:
        there = {(str(tx_id), leg) for tx_id, leg in connection.execute("SELECT tx_id, leg FROM ledger.entry")}
    assert 0 == ledger("export", "exported").code
    with (tmp_path / "exported" / "entry.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(there) == len(rows)
    assert there == {(row["tx_id"], int(row["leg"])) for row in rows}
    assert {CAPTURE.id} == {row["tx_id"] for row in rows if row["batch_id"] == "0"}
    assert {0: ["batch"], 4: ["header", "entry"]} == broken(dsn)


def test_an_export_of_a_snapshot_is_that_of_its_database(
    ledger: Ballast, dsn: str, ballast: Ballast, tmp_path: Path
) -> None:
    """The same files to the byte, verified the same, without a server; also with a transaction whose header is gone."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SELECT ledger.seal('2024-05-02 12:00Z')")
    change(dsn, b"DELETE FROM ledger.tx WHERE tx_id = %(capture)s", capture=CAPTURE.id)
    take(dsn, {}, tmp_path / "kept", About(None, "2026-01-31T12:00:00Z", "closest"))
    assert 0 == ledger("export", "exported").code
    said = ballast("ledger", "export", "again", "--from", "kept", "--json")
    exported = {path.name: path.read_bytes() for path in (tmp_path / "exported").iterdir()}
    assert exported == {path.name: path.read_bytes() for path in (tmp_path / "again").iterdir()}
    assert {name: len(text) for name, text in exported.items()} == said.json()["bytes"]
    assert_refused(ballast("ledger", "export", "again", "--from", "other"), "other/archive.json", code=78)


def test_a_chain_that_was_cut_off_is_betrayed_by_a_head_kept_elsewhere(ledger: Ballast, dsn: str) -> None:
    """With its last batch and the balances set back the chain is whole; the head that was told before is lost, by name."""
    report = ledger("verify", "--json").json()
    heads = [option for head in report["heads"] for option in ("--head", head)]
    assert ledger("verify", *heads, "--json").json()["is_intact"]
    transfer = BATCHES_0[2][1].id
    ledger("reverse", transfer, "--effective-at", "2024-05-04")
    after = ledger("verify", *heads, "--json").json()
    assert (True, []) == (after["is_intact"], after["heads_lost"])
    cut_off(dsn)
    assert ledger("verify", *heads).code == 0
    later = [head for head in after["heads"] if head not in report["heads"]]
    ledger("export", "exported")
    for where in ((), ("--from", "exported")):
        said = ledger("verify", *where, "--head", later[0], "--json")
        assert (BROKEN, later, []) == (said.code, said.json()["heads_lost"], said.json()["broken"])
    assert 2 == ledger("verify", "--head", "0:1:abc").code


def cut_off(dsn: str) -> None:
    """Undo the last batch as somebody would who may do anything: its rows, and what they added to the balances."""
    with psycopg.connect(dsn) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("""
            UPDATE ledger.balance b SET version = b.version - e.n, settled_debit = b.settled_debit - e.debit,
                settled_credit = b.settled_credit - e.credit
            FROM (
                SELECT e.account_id, e.currency, count(*) AS n, coalesce(sum(e.amount) FILTER (WHERE e.side = 1), 0) AS debit,
                    coalesce(sum(e.amount) FILTER (WHERE e.side = -1), 0) AS credit
                FROM ledger.entry e JOIN ledger.tx t USING (tx_id)
                WHERE t.batch_id = (SELECT max(batch_id) FROM ledger.batch) GROUP BY 1, 2
            ) e WHERE (b.account_id, b.currency) = (e.account_id, e.currency)
        """)
        last = "(SELECT max(batch_id) FROM ledger.batch)"
        for table in ("entry", "resolution"):
            of_last = f"SELECT tx_id FROM ledger.tx WHERE batch_id = {last}"  # noqa: S608
            connection.execute(f"DELETE FROM ledger.{table} WHERE tx_id IN ({of_last})".encode())  # noqa: S608
        for table in ("effective_delta", "tx", "batch"):
            connection.execute(f"DELETE FROM ledger.{table} WHERE batch_id = {last}".encode())  # noqa: S608
