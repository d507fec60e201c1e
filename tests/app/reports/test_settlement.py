"""Reports of the settlement: every row once however pages are cut, what the books say to the unit, and nothing read whole."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from app.reports.settlement.balances import read_balances, read_events, read_orders
from app.reports.settlement.refused import Refused, failed, read_refused, write_failed
from app.reports.settlement.standing import newest_matched, read_settlement
from app.reports.settlement.trades import CSV_COLUMNS, Asked, read_trades, write_csv
from app.reports.settlement.words import text_of
from connectors.kafka.peek import Tail
from domain.errors import BallastError, ConfigError
from domain.messages.settlement import MatchedTrade
from domain.streams.records import RawMessage
from domain.times import datetime_of
from sinks.ledger.history import BY_INDEX
from sinks.migrations import migrate
from sinks.postgres import connect
from sinks.queries import text_of as sql_of
from tests.app.surroundings import open_database
from tests.domain.settlement.played import CUSTOMERS
from tests.sinks.settled import AFTER_MS, FORGED, UNKNOWN, WORDS, flow, refuse_posting, tell_settlement, trade

pytestmark = pytest.mark.postgres

Rows = list[dict[str, Any]]
Page = Callable[[str | None, int], dict[str, Any]]


@pytest.fixture(scope="module")
def dsn(server: str) -> Iterator[str]:
    """Books of a settlement with troubles."""
    with open_database(server) as dsn:
        migrate(dsn)
        tell_settlement(dsn)
        yield dsn


@pytest.fixture(scope="module")
def settled(dsn: str) -> Rows:
    """The trades in the books, in the order in which they were booked, by their metadata alone."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        rows = connection.execute("SELECT * FROM settlement.v_trades ORDER BY batch_id, position").fetchall()
    assert len(rows) > 20
    return rows


def all_of(read: Page, name: str, limit: int) -> Rows:
    """Every row of all pages."""
    rows: Rows = []
    after: str | None = None
    while True:
        page = read(after, limit)
        assert len(page[name]) <= limit
        rows += page[name]
        after = page["next"]
        if after is None:
            return rows


def names(rows: Rows) -> list[str]:
    """The ids of trades."""
    return [row["trade_id"] for row in rows]


def told(trade_id: str) -> MatchedTrade:
    """The trade as it was matched."""
    return next(one for one in WORDS if isinstance(one, MatchedTrade) and one.trade_id == trade_id)


@pytest.mark.parametrize("limit", [1, 3, 1000])
def test_pages_have_every_trade_once(dsn: str, settled: Rows, limit: int) -> None:
    """Of a customer, of a symbol, upward from a number, of all: each in its order, whatever the size of a page."""
    for customer in CUSTOMERS:
        own = [row for row in settled if customer in (row["buyer"], row["seller"])]
        asked = Asked(customer=customer)
        assert names(own)[::-1] == names(all_of(lambda a, n, q=asked: read_trades(dsn, q, a, n), "trades", limit))
    of_symbol = sorted((row for row in settled if row["symbol"] == "BTC_USDT"), key=lambda row: -row["sequence"])
    read = {
        "newest": Asked("BTC_USDT"),
        "upward": Asked("BTC_USDT", from_sequence=3),
        "all": Asked(),
    }
    found = {name: all_of(lambda a, n, q=q: read_trades(dsn, q, a, n), "trades", limit) for name, q in read.items()}
    assert names(of_symbol) == names(found["newest"])
    assert [one for one in names(of_symbol)[::-1] if told(one).sequence >= 3] == names(found["upward"])
    assert sorted(names(settled)) == sorted(names(found["all"]))
    times = [row["settled_at"] for row in found["all"]]
    assert times == sorted(times, reverse=True)


def test_what_is_asked_for_is_all_that_is_shown(dsn: str, settled: Rows) -> None:
    """A number of a symbol, a customer's trades of one symbol, and those within times."""
    one = next(row for row in settled if row["symbol"] == "ETH_USDT")
    assert [one["trade_id"]] == names(read_trades(dsn, Asked("ETH_USDT", sequence=one["sequence"]), None, 9)["trades"])
    found = read_trades(dsn, Asked("ETH_USDT", one["buyer"]), None, 1000)["trades"]
    assert {"ETH_USDT"} == {row["symbol"] for row in found}
    middle = sorted(row["settled_at"] for row in settled)[len(settled) // 2]
    for asked in (Asked(), Asked("BTC_USDT"), Asked("BTC_USDT", from_sequence=1), Asked(customer=CUSTOMERS[0])):
        before = names(read_trades(dsn, asked._replace(until=middle), None, 1000)["trades"])
        later = names(read_trades(dsn, asked._replace(since=middle), None, 1000)["trades"])
        assert sorted(names(read_trades(dsn, asked, None, 1000)["trades"])) == sorted([*before, *later])
        assert all(datetime_of(told(name).as_of) >= middle for name in later)


def test_both_sides_are_what_was_matched_and_booked(dsn: str) -> None:
    """Amounts of each trade come to zero in both assets, and each balance with its version is that of one entry."""
    with psycopg.connect(dsn) as connection:
        entries = set(connection.execute("SELECT account, version, abs(balance_after), currency FROM ledger.entries"))
    rows = read_trades(dsn, Asked(), None, 1000)["trades"]
    assert any(row["buyer_refund"] for row in rows)
    for row in rows:
        matched = told(row["trade_id"])
        assert (matched.quantity, f"{row['base']}_{row['quote']}") == (row["quantity"], row["symbol"])
        fees = row["buyer_fee"] + row["seller_fee"]
        assert row["buyer_locked"] == row["buyer_refund"] + row["seller_proceeds"] + fees
        for side, account in (
            ("buyer_base", f"CUSTOMER/{row['buyer']}"),
            ("buyer_quote", f"CUSTOMER_LOCKED/{row['buyer']}"),
            ("buyer_refunded", f"CUSTOMER/{row['buyer']}"),
            ("seller_base", f"CUSTOMER_LOCKED/{row['seller']}"),
            ("seller_quote", f"CUSTOMER/{row['seller']}"),
        ):
            after, asset = (row[f"{side}_version"], row[f"{side}_after"]), row["base" if side.endswith("base") else "quote"]
            assert after == (None, None) or (account, *after, asset) in entries
        assert (row["buyer_refunded_version"] is None) == (row["buyer_refund"] == 0)


def test_a_page_is_typed_as_it_was_told(dsn: str) -> None:
    """What is no end of a page, numbers without a symbol, and what does not go together, are one sentence each."""
    for after in ("x", "!", "WzEsMl0"):
        with pytest.raises(ConfigError, match="is no end of a page"):
            read_trades(dsn, Asked("BTC_USDT"), after, 5)
    with pytest.raises(ConfigError, match="numbers count within a symbol"):
        read_trades(dsn, Asked(sequence=1), None, 5)
    with pytest.raises(ConfigError, match="goes with --symbol"):
        read_trades(dsn, Asked("BTC_USDT", "u1", from_sequence=1), None, 5)


def test_a_file_has_all_trades_and_the_same_bytes(dsn: str, settled: Rows, tmp_path: Path) -> None:
    """By symbol and number, whole numbers in smallest units, times in milliseconds; nothing is left of a draft."""
    first, second = tmp_path / "settled_trades.csv", tmp_path / "again.csv"
    assert [len(settled)] * 2 == [write_csv(dsn, Asked(), first), write_csv(dsn, Asked(), second)]
    assert first.read_bytes() == second.read_bytes()
    assert {first, second} == set(tmp_path.iterdir())
    with first.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(CSV_COLUMNS) == list(rows[0])
    in_order = sorted(settled, key=lambda row: (row["symbol"], row["sequence"]))
    assert names(in_order) == names(rows)
    for row in rows:
        matched = told(row["trade_id"])
        assert (str(matched.quantity), str(matched.as_of)) == (row["quantity"], row["settled_at"])
        assert (str(matched.sequence), "0") == (row["output_sequence"], row["seller_refund"])
        assert f"{datetime_of(matched.as_of):%Y-%m-%d}" == row["trade_date"]
    with pytest.raises(ConfigError, match="cannot be written"):
        write_csv(dsn, Asked(), tmp_path / "nowhere" / "x.csv")
    with pytest.raises(ConfigError, match="--csv goes with"):
        write_csv(dsn, Asked(customer="u1"), first)


def test_all_balances_are_read_at_once(dsn: str) -> None:
    """As the view over all customers has them; who never had anything is unknown."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        wanted = connection.execute("SELECT * FROM settlement.v_balances ORDER BY customer, asset").fetchall()
    for customer in (*CUSTOMERS, "poor"):
        own = [{name: row[name] for name in row if name != "customer"} for row in wanted if row["customer"] == customer]
        assert own == read_balances(dsn, customer)["balances"]
    (poor,) = read_balances(dsn, "poor")["balances"]
    assert (0, 30) == (poor["available"], poor["debt"])
    with pytest.raises(BallastError, match="nothing was ever booked for a customer nobody"):
        read_balances(dsn, "nobody")


def test_orders_add_up_to_what_is_locked(dsn: str) -> None:
    """What is left of a customer's orders is what that customer has locked, asset by asset, and all of it is in the open ones."""
    for customer in CUSTOMERS:
        wanted = {row["asset"]: row["locked"] for row in read_balances(dsn, customer)["balances"] if row["locked"]}
        for open_only in (False, True):
            found: dict[str, int] = {}
            for row in read_orders(dsn, customer, 1000, open_only=open_only)["orders"]:
                found[row["asset"]] = found.get(row["asset"], 0) + row["still_locked"]
            assert wanted == {asset: amount for asset, amount in found.items() if amount}


@pytest.mark.parametrize("limit", [1, 4, 1000])
def test_events_of_a_balance_lead_to_it(dsn: str, limit: int) -> None:
    """Every entry once, each account's value going on from the one before, up to what the customer has now."""
    for customer in CUSTOMERS:
        now = {row["asset"]: row for row in read_balances(dsn, customer)["balances"]}
        rows = all_of(lambda a, n, c=customer: read_events(dsn, c, "USDT", a, n), "events", limit)
        assert now["USDT"]["version"] == len(rows)
        values = {"available": 0, "locked": 0, "debt": 0}
        versions = dict.fromkeys(values, 0)
        for row in reversed(rows):
            account = row["account"]
            values[account] += row["change"]
            versions[account] += 1
            assert (values[account], versions[account]) == (row["balance_after"], row["version"])
        assert values == {name: now["USDT"][name] for name in values}
    with pytest.raises(BallastError, match="never had any DOGE"):
        read_events(dsn, "poor", "DOGE", None, 5)


@pytest.mark.parametrize("limit", [1, 2, 1000])
def test_everything_refused_is_shown_with_what_to_do(dsn: str, limit: int) -> None:
    """Each word once, the newest first, by kind, symbol and reason; what is shown can be filtered."""
    with psycopg.connect(dsn) as connection:
        wanted = connection.execute("SELECT kind, word_id, reason FROM settlement.refusal").fetchall()
    rows = all_of(lambda a, n: read_refused(dsn, Refused(), a, n), "refused", limit)
    assert sorted(wanted) == sorted((row["kind"], row["word_id"], row["reason"]) for row in rows)
    assert {"trade", "withdrawal", "correction"} <= {row["kind"] for row in rows}
    assert [] == [row for row in rows if not row["remedy"] or "nobody has written" in row["remedy"]]
    recorded = [row["recorded_at"] for row in rows]
    assert recorded == sorted(recorded, reverse=True)
    of_symbol = read_refused(dsn, Refused("trade", "SOL_USDT", "unknown_symbol"), None, 9)["refused"]
    assert [UNKNOWN.trade_id] == [row["word_id"] for row in of_symbol]
    lacking = read_refused(dsn, Refused("withdrawal", reason="unknown_customer"), None, 9)["refused"]
    assert ("too much", 5) in [(row["word_id"], row["shortfall"]) for row in lacking]


def test_trades_that_are_not_settled_are_a_file(dsn: str, tmp_path: Path) -> None:
    """An array of trades as they were told, with why and what to do, and the same bytes for the same books."""
    first, second = tmp_path / "failed_trades.json", tmp_path / "again.json"
    count = write_failed(dsn, Refused(), first)
    assert count == write_failed(dsn, Refused(), second) == len(list(failed(dsn)))
    assert first.read_bytes() == second.read_bytes()
    rows = json.loads(first.read_text())
    forged = next(row for row in rows if row["trade"]["hash"] == FORGED.hash)
    assert (json.loads(FORGED.model_dump_json()), "wrong_hash", None) == (
        forged["trade"],
        forged["reason"],
        forged["shortfall"],
    )
    with pytest.raises(ConfigError, match="does not go with --kind lock"):
        write_failed(dsn, Refused("lock"), first)


def test_a_status_is_what_counting_comes_to(dsn: str, settled: Rows) -> None:
    """Settled and refused by symbol and reason, the last number of each, zero of each asset, and what to look at."""
    report = read_settlement(dsn)
    with psycopg.connect(dsn) as connection:
        refused = connection.execute("SELECT kind, reason, count(*) FROM settlement.refusal GROUP BY 1, 2 ORDER BY 1, 2")
        assert refused.fetchall() == [
            (kind, reason, n) for kind, reasons in report["refused_by_kind"].items() for reason, n in reasons.items()
        ]
    assert ["BTC_USDT", "ETH_USDT"] == [row["symbol"] for row in report["symbols"]]
    for row in report["symbols"]:
        own = [one for one in settled if one["symbol"] == row["symbol"]]
        assert (len(own), max(one["sequence"] for one in own)) == (row["settled"], row["last_sequence"])
    assert [] == report["unbalanced"]
    assert {"BTC", "ETH", "USDT"} == {row["asset"] for row in report["assets"]}
    assert report["refused"] == report["refused_by_kind"]["trade"]
    assert any("ballast settlement quarantine" in one for one in report["attention"])
    text = text_of(report)
    for words in ("the flow settlement does not run", "BTC_USDT", "unknown_symbol", "look at:", "residual"):
        assert words in text


def test_what_the_books_refuse_is_seen(server: str) -> None:
    """A posting that they reject is among what to look at."""
    with open_database(server) as dsn:
        migrate(dsn)
        tell_settlement(dsn, WORDS[:20])
        tell_settlement(dsn, [flow("p1", "deposit", 70)])
        refuse_posting(dsn)
        (found,) = [one for one in read_settlement(dsn)["attention"] if "by the books" in one]
    assert "1 CUSTOMER_WITHDRAWAL rejected" in found


def test_how_far_a_symbol_is_behind_is_seen_on_its_topic() -> None:
    """By the greatest number among the last messages, of those alone that are what they say."""
    said = [trade("BTC_USDT", 7), trade("BTC_USDT", 5), trade("ETH_USDT", 2), FORGED]
    raw = [RawMessage(n, AFTER_MS, None, one.model_dump_json().encode()) for n, one in enumerate(said)]
    raw.append(RawMessage(9, AFTER_MS, None, b"{}"))
    assert {"BTC_USDT": 7, "ETH_USDT": 2} == newest_matched(
        {("trades.matched", 0): Tail(5, raw), ("alerts", 0): Tail(5, raw)}
    )


MANY = """
    INSERT INTO ledger.tx (tx_id, batch_id, source_offset, effective_at, position, n_entries, correlation_id, template, source,
        body_hash, meta)
    SELECT gen_random_uuid(), t.batch_id, t.source_offset, t.effective_at + n * INTERVAL '1 second', n, t.n_entries,
        t.correlation_id, t.template, t.source, t.body_hash,
        (t.meta::JSONB || jsonb_build_object('sequence', 1000000 + n, 'symbol', 'OLD_USDT', 'buyer', 'x'))::TEXT::JSON
    FROM (SELECT * FROM ledger.tx WHERE template = 'TRADE_SETTLED' LIMIT 1) t, generate_series(1, 5000) n
"""
MORE = """
    INSERT INTO ledger.entry (tx_id, version, account_id, leg, layer, side, currency, amount, balance_after)
    SELECT t.tx_id, row_number() OVER () + 1000000, 33, l.leg, 1, -1, 'OLD', 1, 1
    FROM ledger.tx t, generate_series(1, 2) l (leg) WHERE t.meta ->> 'symbol' = 'OLD_USDT'
"""
INDEXED = {
    "settlement_trades_of_customer": {"customer": "u1", "symbol": None, "sequence": None},
    "settlement_trades_of_symbol": {"symbol": "BTC_USDT", "after_sequence": None},
    "settlement_trades_from": {"symbol": "BTC_USDT", "from_sequence": 3, "until_sequence": 9},
    "settlement_trades_export": {"symbol": "BTC_USDT"},
    "settlement_trades_by_time": {"after_at": "infinity", "after_id": "f" * 32},
    "settlement_events": {"customer": "u1", "asset": "USDT"},
    "settlement_balances": {"customer": "u1"},
    "settlement_symbols": {},
    "settlement_quarantine": {**dict.fromkeys(("kind", "symbol", "reason")), "after_at": "infinity", "after_key": "z"},
    "settlement_failed": dict.fromkeys(("trade_id", "symbol", "reason")),
}
OF_STATUS = {"settlement_symbols", "settlement_balances"}
"""They are asked beside others, by whom the planner may choose; pages and files tell it that they read few rows."""

REST = {"after": None, "since": "-infinity", "until": "infinity", "row_limit": 5}


@pytest.fixture(scope="module")
def long_dsn(server: str) -> Iterator[str]:
    """The same among many trades of others, with statistics that are up to date."""
    with open_database(server) as dsn:
        migrate(dsn)
        tell_settlement(dsn)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(MANY)
            connection.execute(MORE)
            connection.execute("ANALYZE")
        yield dsn


@pytest.mark.parametrize("name", sorted(INDEXED))
def test_no_page_reads_a_table_whole(long_dsn: str, name: str) -> None:
    """Trades and entries are found by indexes, and no table of them is read from end to end."""
    with connect(long_dsn, "reader", "test") as connection, connection.transaction():
        told = REST | INDEXED[name]
        if name not in OF_STATUS:
            connection.execute(BY_INDEX)
        lines = connection.execute(b"EXPLAIN " + sql_of(name).encode(), told).fetchall()
        connection.execute(sql_of(name).encode(), told)
        scanned = connection.execute(
            "SELECT relname FROM pg_stat_xact_user_tables WHERE relname IN ('entry', 'tx', 'account') AND seq_scan > 0"
        ).fetchall()
    assert [] == [line for (line,) in lines if "Seq Scan on entry" in line or "Seq Scan on tx" in line]
    assert [] == [one for one in scanned if one[0] != "account"]
