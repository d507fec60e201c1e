"""The status: right, and read in the same time however long the history is."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from confluent_kafka import Producer

from app.places.places import Places, prepare
from app.reports import alive, gauges, status
from app.reports.alive import ALIVE_MS, FLOWS
from app.reports.gauges import KEEP
from app.reports.settlement import standing
from app.reports.status import read_status
from connectors.clock import now_ms
from connectors.kafka.peek import Peek
from connectors.kafka.source import KafkaSettings, client_options
from domain.streams.gauges import Gauge
from sinks.ledger.writer import PostgresLedger
from sinks.postgres import Connection, connect
from sinks.queries import ask, text_of
from tests.app.gauges import say
from tests.app.surroundings import unused_name
from tests.domain.ledger.ledger_workloads import ACCOUNTS, CASH, LIMITED, USER, moved, reversal
from tests.sinks.settled import tell_settlement
from tests.waiting import PATIENCE_SECONDS, until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

HISTORY = (Path(__file__).parent / "history.sql").read_text()


@pytest.fixture
def places(broker: str, database: str) -> Places:
    """A broker, and a database with nothing in it yet."""
    kafka = KafkaSettings(broker)
    prepare(database, kafka)
    return Places(database, kafka, False)


def test_what_was_counted_is_what_is_there(places: Places) -> None:
    """Postings by their outcome, holds by rule, the last decision of each kind and what waits are those of the tables."""
    ledger = PostgresLedger(places.dsn, accounts=ACCOUNTS)
    ledger.post([moved(1, CASH, USER, 5), moved(2, LIMITED, CASH, 99), moved(1, CASH, USER, 6), moved(3, CASH, USER, 5)])
    ledger.close()
    _lengthen(places.dsn, 1, 10)
    say(places.dsn, Gauge("pair", "pair-00", "late", 3), Gauge("pair", "pair-00", "waiting_legs", 2))
    told = read_status(places)
    assert (12, 11, 1) == (told["transactions"], told["postings_rejected"], told["postings_in_conflict"])
    assert (10, 20) == (told["trades"], told["decisions"])
    assert ({"rule": 10}, {"market.ticks": 10}) == (told["holds"], told["quarantined"])
    last = {kind: (one["action"], one["rule"], one["reason"]) for kind, one in told["last_decisions"].items()}
    assert {"funding": ("hold", "rule", "r"), "hedge": ("hold", "rule", "r")} == last
    assert {1_714_521_609_000, 1_714_521_610_000} == {one["as_of"] for one in told["last_decisions"].values()}
    assert (3, 2) == (told["steps"]["pair"]["late"], told["waiting_legs"]["count"])


def test_not_booked_is_what_nobody_answers_for(places: Places) -> None:
    """Of what was rejected: not what the one who asked was told of, and not what a person had taken back already."""
    ledger, first = PostgresLedger(places.dsn, accounts=ACCOUNTS), moved(1, CASH, USER, 5)
    asked = moved(4, LIMITED, CASH, 99)._replace(template="TRANSFER")
    ledger.post([first, reversal(2, first), reversal(3, first), asked, moved(5, LIMITED, CASH, 99)])
    ledger.close()
    told = read_status(places)
    assert (3, 1) == (told["postings_rejected"], told["postings_not_booked"])


def test_who_writes_is_told_while_it_speaks(places: Places) -> None:
    """The writer of a shard by process and start, from its first beat on; before that, nothing runs."""
    assert (False, []) == (read_status(places)["is_running"], read_status(places)["writers"])
    ledger = PostgresLedger(places.dsn, accounts=ACCOUNTS)
    until(lambda: bool(read_status(places)["is_running"]), "the first beat")
    told = read_status(places)
    (writer,) = told["writers"]
    assert (0, os.getpid(), True) == (writer["shard"], writer["pid"], writer["is_alive"])
    assert 0 <= writer["silent_ms"] <= ALIVE_MS
    assert dict.fromkeys(FLOWS, False) == {flow: report["is_alive"] for flow, report in told["flows"].items()}
    ledger.close()


def test_an_archive_is_as_old_as_what_it_has(places: Places) -> None:
    """It is no flow that has to run, and no step that is behind; where none was ever kept nothing is said of it."""
    assert read_status(places)["archive_age_seconds"] is None
    say(places.dsn, Gauge(KEEP, "keep-00", "watermark_ms", now_ms() - 400_000))
    told = read_status(places)
    assert (0, {}, False) == (told["archive_age_seconds"] // 4000, told["steps"], told["is_running"])
    assert 400 <= told["archive_age_seconds"]


def test_a_flow_runs_while_its_steps_speak(places: Places) -> None:
    """One whose steps have all spoken of late does, and then something runs."""
    say(places.dsn, Gauge("pair", "pair-00", "watermark_ms", now_ms()), Gauge("decide", "desk-00", "watermark_ms", now_ms()))
    told = read_status(places)
    assert {"liability": False, "hedging": True, "execution": False, "ledger": False} == {
        flow: report["is_alive"] for flow, report in told["flows"].items()
    }
    assert told["is_running"]


def test_a_treasury_is_a_flow_once_it_was_heard_of(places: Places) -> None:
    """Where none runs, nothing is missing; where one has run, it is told whether all of its steps still do."""
    assert "treasury" not in read_status(places)["flows"]
    say(places.dsn, Gauge("decide_buffers", "treasury-00", "watermark_ms", now_ms()))
    assert not read_status(places)["flows"]["treasury"]["is_alive"]
    say(places.dsn, *[Gauge(step, "s", "watermark_ms", now_ms()) for step in gauges.STEPS["treasury"]])
    assert read_status(places)["flows"]["treasury"]["is_alive"]


def test_a_settlement_is_told_symbol_by_symbol(places: Places) -> None:
    """Nothing where none has run; then what is settled and refused, what waits, and whether its steps speak."""
    nothing = {"symbols": [], "refused": {}, "not_booked": {}, "open_orders": 0, "trades_waiting": 0}
    assert nothing == read_status(places)["settlement"]
    assert "settlement" not in read_status(places)["flows"]
    tell_settlement(places.dsn)
    say(places.dsn, *[Gauge(step, "s", "watermark_ms", now_ms()) for step in gauges.STEPS["settlement"]])
    say(places.dsn, Gauge("settle", "settle-00", "trades_waiting", 3), Gauge("settle", "settle-00", "open_orders", 12))
    told = read_status(places)
    with connect(places.dsn, "reader", "test") as connection:
        counted = connection.execute(
            "SELECT symbol, max(sequence), count(*) FROM settlement.v_trades GROUP BY symbol ORDER BY symbol"
        ).fetchall()
        lag = connection.execute("SELECT symbol, refused FROM settlement.v_settlement_lag ORDER BY symbol").fetchall()
    own = told["settlement"]
    assert counted == [(row["symbol"], row["last_sequence"], row["settled"]) for row in own["symbols"]]
    assert lag == [(row["symbol"], row["refused"]) for row in own["symbols"]]
    assert ({"wrong_hash": 1, "unknown_symbol": 1}, 12, 3) == (
        {name: own["refused"][name] for name in ("wrong_hash", "unknown_symbol")},
        own["open_orders"],
        own["trades_waiting"],
    )
    assert told["flows"]["settlement"]["is_alive"]


def test_all_of_the_database_is_of_one_moment(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written while the status is read is in none of its numbers."""
    _lengthen(places.dsn, 1, 10)

    def beside(connection: Connection, name: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        if name == "ledger_tallies":
            _lengthen(places.dsn, 11, 20)
        return ask(connection, name, parameters)

    monkeypatch.setattr(status, "ask", beside)
    told = read_status(places)
    assert (10, 20, 10) == (told["transactions"], told["decisions"], told["quarantined"]["market.ticks"])


def test_no_topic_is_read_from_its_beginning(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that refuses to is enough."""

    class OnlyTails(Peek):
        def everything(self, topic: str) -> Any:
            raise AssertionError(topic)

    monkeypatch.setattr(status, "Peek", OnlyTails)
    read_status(places)


def test_what_the_flows_refuse_is_passed_over(places: Places) -> None:
    """The newest word that a flow would take counts, behind tombstones, typed objects, contradictions and impossible times."""
    before, venue = read_status(places), unused_name("venue")
    # Other tests may have spoken of prices on the same broker before: what is said now is newer.
    at_ms = now_ms()
    _say(places, "market.ticks", {"price_usd": "41000", "as_of": at_ms}, {"price_usd": 41000})
    position = {"venue": venue, "contracts": -25, "exposure_cents": -250_000, "sequence": 1, "as_of": at_ms}
    contradicts = position | {"exposure_cents": -1, "sequence": 2}
    of_1970 = position | {"exposure_cents": 0, "contracts": 0, "sequence": 3, "as_of": 1_714_564_800}
    _say(places, "venue.positions", position, {"venue": venue, "note": "typed by hand"}, contradicts, of_1970, 7)
    _say(places, "venue.balances", None)
    _say(places, "legs.waiting", None)
    told = read_status(places)
    assert {("position", venue), ("price", "BTC-USD-SWAP")} <= {(fact["fact"], fact["of"]) for fact in told["facts"]}
    assert ("41000", {"exposure_cents": -250_000}) == (told["price_usd"], told["venues"][venue])
    assert before["collateral_sats"] == told["collateral_sats"]


def _say(places: Places, topic: str, *values: object) -> None:
    producer = Producer(client_options(places.kafka))
    for value in values:
        producer.produce(topic, None if value is None else json.dumps(value).encode(), b"key")
    assert 0 == producer.flush(PATIENCE_SECONDS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Mapping[str, object] | None]:
    """The queries that are asked, with their parameters."""
    queries: dict[str, Mapping[str, object] | None] = {}

    def noted(connection: Connection, name: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        queries[name] = parameters
        return ask(connection, name, parameters)

    for module in (status, gauges, alive, standing):
        monkeypatch.setattr(module, "ask", noted)
    return queries


def test_a_longer_history_is_not_read(places: Places, asked: dict[str, Mapping[str, object] | None]) -> None:
    """Every query that the status asks reads as many rows over ten batches as over ten thousand."""
    _lengthen(places.dsn, 1, 10)
    read_status(places)
    assert len(asked) > 4
    short = _rows_read(places.dsn, asked)
    _lengthen(places.dsn, 11, 10_000)
    long = _rows_read(places.dsn, asked)
    assert {} == {name: (short[name], rows) for name, rows in long.items() if rows > short[name]}


def test_few_alerts_are_looked_through(places: Places) -> None:
    """The newest are found among ten thousand by reading the last ones."""
    many = """
        INSERT INTO treasury.alert (digest, id, severity, subject, text, as_of)
        SELECT sha256(n::TEXT::BYTEA), n % 100, 'warning', 's', 'look', to_timestamp(n) FROM generate_series(1, 10000) n
    """
    with psycopg.connect(places.dsn, autocommit=True) as connection:
        connection.execute(many)
        connection.execute("VACUUM (ANALYZE)")
    assert {"treasury_newest_alerts": 64} == _rows_read(places.dsn, {"treasury_newest_alerts": {"row_limit": 3}})


def _lengthen(dsn: str, first: int, last: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        psycopg.ClientCursor(connection).execute(HISTORY.encode(), {"first": first, "last": last})
        connection.execute("VACUUM (ANALYZE)")


def _rows_read(dsn: str, queries: Mapping[str, Mapping[str, object] | None]) -> dict[str, int]:
    """How many rows the scans of each query went through, those that they passed over among them."""
    with connect(dsn, "reader", "test") as connection:
        return {name: sum(_scanned(_plan(connection, name, values))) for name, values in queries.items()}


def _plan(connection: Connection, name: str, values: Mapping[str, object] | None) -> dict[str, Any]:
    row = connection.execute(b"EXPLAIN (ANALYZE, FORMAT JSON) " + text_of(name).encode(), values).fetchone()
    assert row is not None
    plan: dict[str, Any] = (json.loads(row[0]) if isinstance(row[0], str) else row[0])[0]["Plan"]
    return plan


def _scanned(plan: Mapping[str, Any]) -> Iterator[int]:
    if "Relation Name" in plan or "Index Name" in plan:
        passed = plan.get("Rows Removed by Filter", 0) + plan.get("Rows Removed by Index Recheck", 0)
        yield round((plan["Actual Rows"] + passed) * plan["Actual Loops"])
    for below in plan.get("Plans", []):
        yield from _scanned(below)
