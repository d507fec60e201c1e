"""The ledger in Postgres: the same as the one in memory, whatever fails and whoever else wants to write."""

import json
from collections.abc import Sequence
from contextlib import closing
from itertools import count
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.conninfo import make_conninfo

from domain.errors import InvariantError
from domain.ids import timed_id
from domain.ledger.accounts import CHART, Account, Velocity, chart, numbered
from domain.ledger.body import body_hash
from domain.ledger.journal import Cause, Entry, Layer, Matter, Transaction, reversal_of
from domain.ledger.memory import MemoryLedger
from domain.pairing.booked import BookedLegs, BookedTrade, booked_trades
from domain.pairing.effects import TradePaired, TradeUnpaired
from domain.pairing.legs import leg_from
from domain.postings.trades import post_effect
from domain.templates.exchange_position import decrease_exchange_position
from domain.templates.user_trades import user_buys_usd
from sinks.ledger.history import BY_INDEX, OF_LEGS, begin_with, read_booked, read_legs, read_matters
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import connect
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, WORKLOADS, credit, debit, moved, posting
from tests.sinks.ledger.checks import Open, Sql, assert_books_tie, entries_of, outcomes
from tests.words import leg, pair, record

pytestmark = pytest.mark.postgres

FEW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FOR_EVER_MS = 4_102_444_800_000
AT: dict[str, Any] = {"effective_at_ms": 1, "source": "s", "source_offset": 0}
FROZEN_AT_FIRST = "UPDATE ledger.account SET status = 'frozen' WHERE code = 'FROZEN'"


def salted(transactions: Sequence[Transaction], salt: int) -> list[Transaction]:
    """The same workload under ids of its own."""

    def other(id_: str) -> str:
        return timed_id(1_700_000_000_000 + salt, id_, str(salt))

    def about(cause: Cause | None) -> Cause | None:
        return cause and cause._replace(transaction_id=other(cause.transaction_id))

    return [one._replace(id=other(one.id), cause=about(one.cause), source_offset=salt) for one in transactions]


def test_it_is_the_same_as_the_ledger_in_memory(
    open_ledger: Open, sql: Sql, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts, balances, entries and headers are equal on any workload, in any cut, through restarts, however little is kept
    in memory and whichever way batches are written."""
    salts, memory = count(), MemoryLedger(ACCOUNTS)
    open_ledger().close()
    sql(FROZEN_AT_FIRST)

    @FEW
    @given(WORKLOADS, st.integers(1, 9), st.sampled_from([0, 1, 3, 1000]), st.sampled_from([0, 5, 20]))
    def compare(transactions: list[Transaction], batch_max: int, accounts_max: int, small_max: int) -> None:
        monkeypatch.setattr("sinks.ledger.writing.TRANSACTIONS_MAX", small_max)
        mine = salted(transactions, next(salts))
        with closing(open_ledger(batch_max=batch_max, accounts_max=accounts_max)) as ledger:
            for post in (mine[::2], mine, mine[::3], mine):
                expected, booked = memory.post(post), ledger.post(post)
                assert list(expected.verdicts) == list(booked.verdicts)
                assert list(expected.balances) == list(booked.balances)
            assert memory.balances() == ledger.balances()

    compare()
    ledger = open_ledger()
    assert memory.balances() == ledger.balances()
    assert memory.entry_rows() == entries_of(sql)
    start = 1_700_000_000_000
    matters = [Matter(id_, start, start + 1) for id_ in sorted({one.correlation_id for one in memory.transactions()})]
    assert memory.history().of_matters(matters)
    with connect(dsn, "reader", "history") as connection:
        assert memory.history().of_matters(matters) == read_matters(connection, matters)
    assert len(memory.rejected) == sql("SELECT count(*) FROM ledger.reject")[0][0]
    assert len(memory.conflicts) == sql("SELECT count(*) FROM ledger.conflict")[0][0]
    assert_books_tie(sql)


def test_trades_are_found_by_their_legs(dsn: str) -> None:
    """A leg, bitcoin or dollars, leads to all bookings and reversals of its key, as in the ledger in memory, oldest first."""
    keys = {"1": "one", "2": "one", "3": "other", 'q"1': "quoted", 'q"2': "quoted too"}
    trades = [transaction for name, key in keys.items() for transaction in turned(name, key)]
    memory = MemoryLedger()
    memory.post(trades)
    with closing(PostgresLedger(dsn, accounts=CHART)) as ledger:
        ledger.post(trades)
    with connect(dsn, "reader", "history") as connection:
        for ids, count in (
            ([], 0),
            (["nobody"], 0),
            (["b1"], 4),
            (["u3"], 2),
            (["b1", "u1", "nobody", "u3"], 6),
            (['bq"1'], 2),
        ):
            found = read_legs(connection, ids)
            assert memory.history().of_legs(ids) == found
            assert count == len(found)


ODD = st.text(st.sampled_from('"\\:,{}idé 1\u2028😀'), min_size=1, max_size=12)


def test_a_leg_is_found_whatever_stands_in_its_id_and_memo(dsn: str) -> None:
    """The index has a key for every id there can be, which the memo before it cannot make another one; others stay apart."""

    @FEW
    @given(ODD, ODD, ODD)
    def compare(name: str, memo: str, other: str) -> None:
        legs = [leg(f"{side}{name}", memo=memo) for side in "bu"]
        meta = post_effect(record(TradePaired(*map(leg_from, legs), 0, "key", "s/0", 1)))
        assert meta is not None
        keys = connection.execute(
            "SELECT ledger.leg_key(m.meta, 1), ledger.leg_key(m.meta, 2), ledger.leg_key(%s), ledger.leg_key(%s)"
            " FROM (SELECT %s::JSON AS meta) m",
            (f"b{name}", f"u{name}", meta.meta),
        ).fetchone()
        assert keys is not None
        assert keys[:2] == keys[2:]
        assert read_legs(connection, [f"b{name}{other}"]) == []

    with connect(dsn, "reader", "history") as connection:
        compare()


def test_legs_are_looked_up_by_their_indexes(dsn: str) -> None:
    """In a ledger of any size each costs a look into two indexes."""
    with connect(dsn, "reader", "history") as connection:
        connection.execute(BY_INDEX)
        plan = connection.execute(f"EXPLAIN {OF_LEGS}".encode(), {"ids": ["b1"]}).fetchall()
    text = "\n".join(line for (line,) in plan)
    assert ("Index Scan using tx_btc_leg" in text, "Index Scan using tx_usd_leg" in text) == (True, True)


def test_the_legs_of_all_trades_are_read_at_a_start(dsn: str) -> None:
    """Those of trades that are booked, taken back, or rejected, which a person may book; nothing of other transactions."""
    trades = turned("1", "one") + turned("2", "other")
    rejected = turned("3", "third")[1]
    with closing(PostgresLedger(dsn, accounts=CHART)) as ledger:
        verdicts = ledger.post([*trades, rejected]).verdicts
    assert ["posted"] * 4 + ["rejected"] == [verdict.outcome for verdict in verdicts]
    read = sorted(trade for page in read_booked(dsn) for trade in page)
    assert sorted(BookedTrade(tuple(sorted(one.leg_ids)), one.second) for one in booked_trades([*trades, rejected])) == read
    booked = BookedLegs(2**16)
    booked.take_up([])
    begin_with(booked, dsn)
    assert ["b1", "u3"] == booked.among(["b1", "nobody", "u3"])
    assert booked.before_ms == max(one.second for one in read) * 1000 + 1000


@pytest.mark.parametrize("why", ["too many", "away"])
def test_legs_that_cannot_be_read_are_all_asked_for(why: str, dsn: str) -> None:
    """Where the ledger holds more trades than are worth noting, or the database is away, no leg is spared."""
    with closing(PostgresLedger(dsn, accounts=CHART)) as ledger:
        ledger.post(turned("1", "one"))
    booked = BookedLegs(2**16)
    booked.take_up([])
    begin_with(booked, make_conninfo(dsn, port=1) if why == "away" else dsn, trades_max=1)
    assert ["nobody"] == booked.among(["nobody"])
    assert booked.before_ms is None


def turned(name: str, key: str) -> list[Transaction]:
    """A trade, and its reversal."""
    btc, usd = map(leg_from, pair(name))
    made = [post_effect(record(kind(btc, usd, 0, key, "dealer.transactions/0", 1))) for kind in (TradePaired, TradeUnpaired)]
    return [transaction for transaction in made if transaction is not None]


def test_a_batch_that_only_repeats_writes_nothing(open_ledger: Open, sql: Sql) -> None:
    """Duplicates, known rejections and known conflicts leave no batch behind, before a restart and after."""
    posted, rejected, other = moved(1, CASH, USER, 5), moved(2, LIMITED, CASH, 5), moved(1, CASH, USER, 6)
    ledger = open_ledger()
    assert outcomes(ledger, [posted, rejected, other]) == ["posted", "rejected", "conflict"]
    for _ in range(2):
        assert outcomes(ledger, [posted, rejected, other, other]) == ["duplicate", "rejected", "conflict", "conflict"]
        assert sql("SELECT n_tx, n_rejected, n_conflicts FROM ledger.batch") == [(1, 1, 1)]
        ledger.close()
        ledger = open_ledger()


def test_a_rejection_is_answered_in_the_same_words_for_ever(open_ledger: Open) -> None:
    """After a restart, and when there is money at last, the verdict is the recorded one."""
    want = moved(2, LIMITED, CASH, 5)
    ledger = open_ledger()
    said = ledger.post([want]).verdicts
    ledger.post([moved(3, CASH, LIMITED, 100)])
    ledger.close()
    assert list(said) == list(open_ledger().post([want]).verdicts)


def test_an_id_older_than_all_known_ones_is_judged_right(open_ledger: Open) -> None:
    """Ids that come in any order are found if they are known and posted if they are new."""
    ledger = open_ledger(batch_max=3)
    days = [posting(n, debit(CASH, 1), credit(USER, 1), at_ms=1_700_000_000_000 - n * 86_400_000) for n in range(12)]
    assert outcomes(ledger, days[6:] + days[:6]) == ["posted"] * 12
    ledger.close()
    assert outcomes(open_ledger(), days) == ["duplicate"] * 12


def test_reversals_find_their_originals_in_any_batch(open_ledger: Open) -> None:
    """An original in the same batch, an earlier one or an earlier run is found; the second reversal is refused."""
    first, second = moved(1, CASH, USER, 5), moved(2, CASH, USER, 7)
    backs = [posting(n, debit(CASH, -5), credit(USER, -5), cause=reversal_of(first.id)) for n in (3, 4)]
    ledger = open_ledger()
    assert outcomes(ledger, [first, second, backs[0]]) == ["posted"] * 3
    ledger.close()
    later = open_ledger()
    assert later.post([backs[1]]).verdicts[0].reason == "already_reversed"
    assert outcomes(later, [posting(5, debit(CASH, -7), credit(USER, -7), cause=reversal_of(second.id))]) == ["posted"]


def test_accounts_change_while_the_ledger_is_open(open_ledger: Open, sql: Sql) -> None:
    """A new, frozen, thawed or newly limited account is judged as it is now, without a restart."""
    ledger = open_ledger()
    outcomes(ledger, [moved(1, CASH, USER, 5)])
    sql("INSERT INTO ledger.account (code, journal, normal_side) VALUES ('NEW', 'Test', 1)")
    assert outcomes(ledger, [moved(2, "NEW", USER, 5)]) == ["posted"]
    sql("UPDATE ledger.account SET status = 'frozen' WHERE code = 'NEW'")
    assert ledger.post([moved(3, "NEW", USER, 5)]).verdicts[0].reason == "account_frozen"
    sql("UPDATE ledger.account SET status = 'open', max_balance = 10 WHERE code = 'NEW'")
    assert outcomes(ledger, [moved(4, "NEW", USER, 5)]) == ["posted"]
    assert ledger.post([moved(5, "NEW", USER, 5)]).verdicts[0][2:] == ("over_limit", "NEW", "USD", 5)
    sql("UPDATE ledger.account SET max_balance = 15 WHERE code = 'NEW'")
    assert outcomes(ledger, [moved(6, "NEW", USER, 5)]) == ["posted"]


def test_a_period_closes_while_the_ledger_is_open(open_ledger: Open, sql: Sql) -> None:
    """What is effective before the end of the closed period is rejected by name, the rest is posted."""
    ledger = open_ledger()
    sql("INSERT INTO ledger.closed_period (closed_until) VALUES (to_timestamp(1700000000))")
    late = posting(1, debit(CASH, 1), credit(USER, 1), at_ms=1_699_999_999_999)
    verdicts = ledger.post([late, moved(2, CASH, USER, 1)]).verdicts
    assert [verdict.reason for verdict in verdicts] == ["closed_period", None]


def test_what_the_database_refuses_twice_stops_the_writer(open_ledger: Open, sql: Sql) -> None:
    """A contradiction between the fold and the database is an error of its own; nothing is written."""
    ledger = open_ledger()
    sql("ALTER TABLE ledger.tx ADD CONSTRAINT odd CHECK (template <> 'TEST')")
    with pytest.raises(InvariantError, match="the database refuses what the ledger has accepted"):
        ledger.post([moved(1, CASH, USER, 5)])
    sql("ALTER TABLE ledger.tx DROP CONSTRAINT odd")
    assert outcomes(ledger, [moved(1, CASH, USER, 5)]) == ["posted"]


def test_a_change_after_the_fact_shows_in_the_chain(open_ledger: Open, sql: Sql) -> None:
    """Whoever gets past the guards and changes an entry, a header or a rejection is found out, with the batch."""
    ledger = open_ledger()
    for n in range(4):
        ledger.post([moved(2 * n, CASH, USER, 5), moved(2 * n + 1, LIMITED, CASH, 99)])
    assert_books_tie(sql)
    batches = [row[0] for row in sql("SELECT batch_id FROM ledger.batch ORDER BY batch_id")]
    sql("SET session_replication_role = replica")
    sql("UPDATE ledger.entry SET amount = 6 WHERE tx_id = %s AND leg = 1", moved(0, CASH, USER, 5).id)
    sql("UPDATE ledger.tx SET effective_at = effective_at + '1 ms' WHERE tx_id = %s", moved(2, CASH, USER, 5).id)
    sql("DELETE FROM ledger.reject WHERE tx_id = %s", moved(5, LIMITED, CASH, 99).id)
    broken = sql("SELECT batch_id FROM ledger.chain WHERE NOT is_intact ORDER BY batch_id")
    assert [(batch,) for batch in batches[:3]] == broken
    sql("DELETE FROM ledger.batch WHERE batch_id = %s", batches[1])
    assert sql("SELECT batch_id FROM ledger.chain WHERE NOT is_linked") == [(batches[2],)]


def test_the_body_hash_can_be_computed_again_from_the_tables(open_ledger: Open, sql: Sql, dsn: str) -> None:
    """Header, entries and metadata as stored give the stored hash: metadata cannot be changed unseen either."""
    ledger = open_ledger()
    meta = {"z": {"b": [1, None, True], "a": "ü\t\\\n\"'\\N\\."}, "aa": 10**25, "b": -1}
    ledger.post([posting(1, debit(CASH, 5), credit(USER, 5), meta=meta)])
    with connect(dsn, "reader", "history") as connection:
        stored = read_matters(connection, [Matter(posting(1).correlation_id, 0, FOR_EVER_MS)])[0]
    entries = [
        Entry(row["account"], row["currency"], Layer(row["layer"]), row["side"], row["amount"]) for row in entries_of(sql)
    ]
    assert json.dumps(meta, sort_keys=True, separators=(",", ":"), ensure_ascii=False) == stored.meta
    expected = sql("SELECT encode(body_hash, 'hex') FROM ledger.tx")[0][0]
    assert expected == body_hash(stored._replace(entries=tuple(entries)))


def test_any_text_comes_back_as_it_was_or_is_refused(open_ledger: Open, dsn: str) -> None:
    """Hostile text in metadata and sources neither breaks the batch nor changes on its way."""
    ledger, numbers = open_ledger(), count()

    @FEW
    @given(st.text(), st.text(st.characters(codec="utf-8", exclude_characters="\x00")))
    def post(memo: str, source: str) -> None:
        one = posting(next(numbers), debit(CASH, 5), credit(USER, 5), meta={memo: [memo]})
        one = one._replace(source=source, correlation_id=one.id)
        verdict = ledger.post([one]).verdicts[0]
        with connect(dsn, "reader", "history") as connection:
            stored = read_matters(connection, [Matter(one.id, 0, FOR_EVER_MS)])
        assert ("bad_meta" if "\x00" in memo else None) == verdict.reason
        assert ([] if verdict.reason else [one._replace(entries=())]) == stored

    post()


def test_amounts_of_any_size_are_exact(open_ledger: Open) -> None:
    """Thirty-eight digits go in and come back."""
    ledger = open_ledger()
    most = 10**38 - 1
    assert outcomes(ledger, [moved(1, CASH, USER, most), moved(2, CASH, USER, 1)]) == ["posted", "rejected"]
    ledger.close()
    assert {most, -most} == {balance.settled for balance in open_ledger().balances()}


def test_a_batch_names_the_offsets_it_came_from(open_ledger: Open, sql: Sql) -> None:
    """Per source, the first and last offset of all that was posted, repeats included."""
    one, two, three = moved(5, CASH, USER, 1), moved(3, CASH, USER, 1), moved(9, CASH, USER, 1)._replace(source="b/1")
    open_ledger().post([one, two, three])
    assert sql("SELECT source FROM ledger.batch") == [({"b/1": [9, 9], "test/0": [3, 5]},)]


def test_balances_by_effective_date_count_what_came_late(open_ledger: Open, sql: Sql) -> None:
    """A late transaction changes the balances from its own date on, and rewrites nothing."""
    ledger, day = open_ledger(), 86_400_000
    for number, at in ((1, 10), (2, 12), (3, 11)):
        ledger.post([posting(number, debit(CASH, 10**number), credit(USER, 10**number), at_ms=at * day)])
    rows = sql("""
        SELECT effective_date::TEXT, balance::INT FROM ledger.effective_balances WHERE account = 'CASH' ORDER BY 1
    """)
    assert rows == [("1970-01-11", 10), ("1970-01-12", 1010), ("1970-01-13", 1110)]


def test_views_speak_in_codes(open_ledger: Open, sql: Sql) -> None:
    """An analyst reads accounts by code, layers by name, and amounts in the normal direction."""
    ledger = open_ledger()
    ledger.post([moved(1, CASH, USER, 5), moved(2, CASH, USER, 3, Layer.PENDING), moved(3, LIMITED, CASH, 7)])
    assert sql("SELECT account, settled, pending, available FROM ledger.balances") == [
        ("CASH", 5, 3, 5),
        ("USER", 5, 3, 5),
    ]
    assert sql("SELECT account, layer, debit, credit, normal_balance_after FROM ledger.entries ORDER BY position, leg") == [
        ("CASH", "settled", 5, None, 5),
        ("USER", "settled", None, 5, 5),
        ("CASH", "pending", 3, None, 3),
        ("USER", "pending", None, 3, 3),
    ]
    assert sql("SELECT reason, account, shortfall FROM ledger.rejected") == [("over_limit", "LIMITED", 7)]
    assert sql("SELECT count(*) FROM ledger.balances_by_layer") == [(6,)]
    assert sql("SELECT template, reversed_by FROM ledger.transactions") == [("TEST", None), ("TEST", None)]


def test_the_chart_is_opened_once(dsn: str, sql: Sql) -> None:
    """A new ledger has the accounts of the chart; an account that is there is left as it is."""
    PostgresLedger(dsn, accounts=CHART).close()
    assert sql("SELECT account_id, code FROM ledger.account ORDER BY 1") == [(one.id, one.code) for one in numbered(CHART)]
    sql("UPDATE ledger.account SET min_available = -5 WHERE account_id = 1")
    ledger = PostgresLedger(dsn, accounts=CHART)
    assert sql("SELECT min_available FROM ledger.account WHERE account_id = 1") == [(-5,)]
    trade = user_buys_usd(
        100,
        5,
        effective_at_ms=1,
        pairing_key="k",
        btc_leg=("b", '{"amount":100,"id":"b"}'),
        usd_leg=("u", '{"amount":5,"id":"u"}'),
        source="s",
        source_offset=0,
    )
    assert trade is not None
    assert outcomes(ledger, [trade, trade]) == ["posted", "duplicate"]
    ledger.close()


def test_venues_are_opened_when_they_are_named(dsn: str, sql: Sql) -> None:
    """A venue that comes later gets accounts of its own, and what was named before keeps its ids."""
    shorts = {
        venue: decrease_exchange_position(5, venue=venue, instrument="i", event_id="1", sequence=1, **AT) for venue in "ab"
    }
    ledger = PostgresLedger(dsn, accounts=chart(["a"], ["main"]))
    assert outcomes(ledger, [one for one in shorts.values() if one]) == ["posted", "rejected"]
    ledger.close()
    before = sql("SELECT account_id, code FROM ledger.account ORDER BY 1")
    ledger = PostgresLedger(dsn, accounts=chart(["b", "a"], ["other", "main"]))
    again = decrease_exchange_position(7, venue="b", instrument="i", event_id="2", sequence=2, **AT)
    assert again is not None
    assert outcomes(ledger, [again]) == ["posted"]
    ledger.close()
    assert before == sql("SELECT account_id, code FROM ledger.account ORDER BY 1 LIMIT %s", len(before))
    assert sql("SELECT settled, leaves FROM ledger.rolled_up_balances WHERE account = 'POSITION'") == [(12, 2)]
    assert sql("SELECT count(*) FROM ledger.account WHERE is_summary") == [(9,)]


def test_limits_of_the_chart_hold_for_accounts_that_get_their_id_here(dsn: str, sql: Sql) -> None:
    """A velocity limit finds its account by code."""
    limited = Account(0, "TILL", 1, "Test", velocities=(Velocity("USD", 60, 5),))
    PostgresLedger(dsn, accounts=[limited]).close()
    assert sql("SELECT account_id, currency, window_seconds, amount_max FROM ledger.velocity_limit") == [
        (1000, "USD", 60, 5)
    ]


def test_an_id_that_another_account_has_is_an_error(dsn: str) -> None:
    """An account of the chart that cannot be opened stops the start: it is not left out."""
    PostgresLedger(dsn, accounts=[Account(1, "OLD", 1, "Test")]).close()
    with pytest.raises(psycopg.errors.UniqueViolation):
        PostgresLedger(dsn, accounts=CHART)


def test_posting_nothing_is_nothing(open_ledger: Open, sql: Sql) -> None:
    """An empty list has an empty answer and leaves no batch."""
    assert tuple(map(list, open_ledger().post([]))) == ([], [])
    assert sql("SELECT count(*) FROM ledger.batch") == [(0,)]
