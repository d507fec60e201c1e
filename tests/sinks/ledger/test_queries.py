"""Reading the ledger: balances at any time against sums over all entries, plans that stay cheap, seals that notice changes."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import TupleRow

from domain.ledger.accounts import Account
from domain.ledger.journal import CREDIT, DEBIT
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from sinks.queries import QUERIES, ask, names, text_of
from tests.domain.ledger.ledger_workloads import moved
from tests.sinks.ledger.checks import Sql
from tests.sinks.ledger.story import (
    ALICE,
    BACKDATED,
    BOB,
    CAPTURE,
    CASH,
    OWED,
    START_MS,
    both,
    one,
    tell,
)

pytestmark = pytest.mark.postgres

Connection = psycopg.Connection[TupleRow]

FIRST = datetime(2024, 5, 1, tzinfo=UTC)
PARAMETERS = {
    "account": OWED,
    "accounts": [CASH, ALICE],
    "as_of": FIRST + timedelta(days=2),
    "since": "-infinity",
    "until": "infinity",
    "axis": "recorded",
    "currency": None,
    "tx_id": CAPTURE.id,
    "topic": "market.ticks",
    "partition": None,
    "offset": None,
    "row_limit": 5,
    "open_only": True,
    "id": "b1",
    "book": "main",
    "version": 1,
    "since_ms": None,
    "after_version": 0,
    "until_version": 9,
    "after_ms": 0,
    "until_ms": START_MS,
    "break_id": None,
    "buffer": None,
    "job_id": "j1",
    "provider": None,
    "stale_seconds": 1800,
    "period_seconds": 86400,
    "customer": "u1",
    "asset": "USDT",
    "symbol": "BTC_USDT",
    "sequence": None,
    "after": None,
    "after_sequence": None,
    "from_sequence": 1,
    "until_sequence": 9,
    "after_at": "infinity",
    "after_id": CAPTURE.id,
    "after_key": "z",
    "kind": None,
    "kinds": ["trade"],
    "reason": None,
    "trade_id": None,
    "word_id": "BTC_USDT-1",
}
TIMES = [FIRST + timedelta(hours=hours) for hours in range(0, 100, 3)]
EDGES = [FIRST + timedelta(days=0.5), FIRST + timedelta(days=1), FIRST + timedelta(hours=13), FIRST + timedelta(hours=29)]
"""The very moments at which something happened, and at which something was recorded."""


@pytest.fixture
def reader(dsn: str) -> Iterator[Connection]:
    """Somebody who may read, in the ledger of the story."""
    tell(dsn)
    with connect(dsn, "reader", "test") as connection:
        yield connection


def summed(connection: Connection, account: str, where: str, *values: object) -> dict[tuple[str, str], int]:
    """The balance of an account and those below it, added up from every entry there is."""
    rows = connection.execute(
        f"""
        SELECT e.currency, e.layer, sum(e.moved) FROM ledger.entries e
        WHERE (e.account = %s OR e.account LIKE %s || '/%%') AND {where} GROUP BY e.currency, e.layer
        """.encode(),  # noqa: S608 - the conditions are those of this file
        (account, account, *values),
    )
    side = CREDIT if account.startswith(OWED) else DEBIT
    return {(currency, layer): side * int(net) for currency, layer, net in rows if net}


def asked(connection: Connection, name: str, account: str, as_of: datetime) -> dict[tuple[str, str], int]:
    """What a query says of an account at a time, without what is zero."""
    rows = ask(connection, name, {"account": account, "as_of": as_of})
    return {(row["currency"], row["layer"]): int(row["balance"]) for row in rows if row["balance"]}


@pytest.mark.parametrize("axis", ["recorded", "effective"])
@pytest.mark.parametrize("account", [CASH, OWED, ALICE, BOB])
def test_balances_at_any_time_are_the_sums_of_what_was_there(reader: Connection, account: str, axis: str) -> None:
    """By either axis, at many times and at the very moments of things, for leaves and for an account above others."""
    for as_of in [*TIMES, *EDGES]:
        expected = summed(reader, account, f"e.{axis}_at <= %s", as_of)
        assert expected == asked(reader, f"ledger_balance_{axis}", account, as_of)


@pytest.mark.parametrize("axis", ["recorded", "effective"])
def test_trial_balances_tie_at_any_time(reader: Connection, axis: str) -> None:
    """Every account stands on its side with its balance of that time, and both sides come to the same."""
    for as_of in TIMES:
        rows = ask(reader, f"ledger_trial_balance_{axis}", {"as_of": as_of})
        stands = {row["account"]: row["debit"] - row["credit"] for row in rows if row["layer"] == "settled"}
        assert sum(stands.values()) == 0
        assert summed(reader, CASH, f"e.{axis}_at <= %s", as_of).get(("USD", "settled"), 0) == stands.get(CASH, 0)


def test_a_late_transaction_changes_the_past_by_effective_time_alone(dsn: str) -> None:
    """What was thought on a day stays what was thought, and what is known of that day grows; no row is written anew."""
    tell(dsn)
    with connect(dsn, "reader", "test") as connection:
        as_of = FIRST + timedelta(days=1)
        before = [asked(connection, f"ledger_balance_{axis}", BOB, as_of) for axis in ("recorded", "effective")]
        late = one("later still", 0.7, "DEPOSIT", *both(CASH, BOB, 1_00))
        ledger = PostgresLedger(dsn, accounts=())
        ledger.post([late])
        ledger.close()
        after = [asked(connection, f"ledger_balance_{axis}", BOB, as_of) for axis in ("recorded", "effective")]
    assert [{("USD", "settled"): 30_00}, {("USD", "settled"): 37_00}] == before
    assert [{("USD", "settled"): 30_00}, {("USD", "settled"): 38_00}] == after


@pytest.mark.parametrize("axis", ["recorded", "effective"])
@pytest.mark.parametrize("account", [CASH, OWED, BOB])
def test_statements_go_from_balance_to_balance(reader: Connection, account: str, axis: str) -> None:
    """The opening balance is that of just before, each line adds what it moved, and the closing one is the last."""
    side = CREDIT if account in (OWED, BOB) else DEBIT
    for since, until in zip(TIMES[:-9], TIMES[9:], strict=True):
        parameters = PARAMETERS | {"account": account, "since": since, "until": until, "axis": axis}
        balances: dict[tuple[str, str], Any] = {}
        for row in ask(reader, "ledger_statement", parameters):
            kind = (row["currency"], row["layer"])
            if row["line"] == "entry":
                balances[kind] += side * ((row["debit"] or 0) - (row["credit"] or 0))
                assert since <= row[f"{axis}_at"] < until
                assert balances[kind] == row["balance"]
            elif row["line"] == "opening":
                balances[kind] = row["balance"]
            else:
                assert balances[kind] == row["balance"]
        told = {kind: int(balance) for kind, balance in balances.items() if balance}
        assert summed(reader, account, f"e.{axis}_at < %s", until) == told


def test_statements_have_no_other_axis(reader: Connection) -> None:
    """An axis that is none is said to be none."""
    with pytest.raises(psycopg.errors.InvalidParameterValue, match="recorded or effective"):
        ask(reader, "ledger_statement", PARAMETERS | {"axis": "sideways"})


@pytest.mark.parametrize("name", names())
def test_named_queries_say_what_they_answer_and_run(reader: Connection, name: str) -> None:
    """Each begins with a question, names every parameter that it takes and no other, and a reader may run it."""
    comment = [line for line in text_of(name).splitlines() if line.startswith("--")]
    assert "?" in " ".join(comment)
    assert sorted(set(re.findall(r"%\(([a-z_]+)\)s", text_of(name)))) == sorted(
        re.findall(r"^--   (\w+) ", "\n".join(comment), re.MULTILINE)
    )
    ask(reader, name, PARAMETERS)


def test_queries_are_files() -> None:
    """There are some, and each is found by its name."""
    assert {"ledger_balances_of_account", "ledger_statement", "ledger_trial_balance", "ledger_clearing_breaks"} <= set(
        names()
    )
    assert names() == sorted(path.stem for path in QUERIES.iterdir())


def test_a_clearing_break_ends_when_the_other_side_comes(dsn: str) -> None:
    """A matter that arrived in part is a break that misses no side; one that arrived whole is none."""
    tell(dsn)
    ledger = PostgresLedger(dsn, 1, accounts=())
    with connect(dsn, "reader", "test") as connection:
        seen = []
        for amount in (1_00, 2_00):
            arrived = one(
                f"found {amount}", 3, "TRANSFER_IN", *both("TILL", "CLEARING/1/0", amount), matter="lost on the way"
            )
            ledger.post([arrived])
            breaks = ask(connection, "ledger_clearing_breaks", {"as_of": FIRST + timedelta(days=4)})
            seen.append([(row["amount"], row["missing"], row["newest_template"]) for row in breaks])
    ledger.close()
    assert [[(2_00, None, "TRANSFER_IN")], []] == seen


def test_balances_of_one_account_are_one_range_of_the_primary_key(dsn: str, sql: Sql) -> None:
    """Among many accounts the plan goes by the account's code and then by the key of balances, and reads no table whole."""
    sql("""
        INSERT INTO ledger.account (code, journal, normal_side) SELECT 'USER/' || n, 'Many', -1 FROM generate_series(1, 20000) n
    """)
    sql("""
        INSERT INTO ledger.balance (account_id, currency, version, last_batch_id, normal_side)
        SELECT a.account_id, c.currency, 0, 0, 1 FROM ledger.account a, (VALUES ('USD'), ('BTC')) c (currency)
    """)
    sql("ANALYZE ledger.account, ledger.balance")
    with connect(dsn, "reader", "test") as connection:
        text = text_of("ledger_balances_of_account").encode()
        plan = "\n".join(row[0] for row in connection.execute(b"EXPLAIN " + text, {"account": "USER/777"}))
        assert 2 == len(ask(connection, "ledger_balances_of_account", {"account": "USER/777"}))
    assert "Index Scan using balance_pkey" in plan
    assert "Seq Scan" not in plan


def test_a_balance_of_the_past_reads_no_table_whole(dsn: str) -> None:
    """A balance by recorded time is found by indexes, among many entries and after the statistics are up to date."""
    tell(dsn)
    ledger = PostgresLedger(dsn, accounts=(Account(201, "A", DEBIT, "Many"), Account(202, "B", CREDIT, "Many")))
    ledger.post([moved(number, "A", "B", 1) for number in range(6000)])
    ledger.close()
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("ANALYZE")
    with connect(dsn, "reader", "test") as connection, connection.transaction():
        assert {("USD", "settled"): 6000} == asked(
            connection, "ledger_balance_recorded", "A", datetime(2100, 1, 1, tzinfo=UTC)
        )
        expected = {("USD", "settled"): 35_00, ("USD", "pending"): -20_00}
        assert expected == asked(connection, "ledger_balance_recorded", BOB, FIRST + timedelta(days=2))
        scanned = connection.execute(
            "SELECT relname FROM pg_stat_xact_user_tables WHERE relname IN ('entry', 'tx') AND seq_scan > 0"
        ).fetchall()
    assert [] == scanned


def test_what_came_late_is_what_it_was(reader: Connection) -> None:
    """The story's late cheque was effective long before it was recorded."""
    row = ask(reader, "ledger_transaction", {"tx_id": BACKDATED.id})[0]
    assert BACKDATED.effective_at_ms == START_MS + 51_840_000
    assert row["recorded_at"] - row["effective_at"] > timedelta(days=1)
