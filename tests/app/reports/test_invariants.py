"""The checks of the promises: they pass over what the flows left, and each finds a breach that was planted in a copy."""

# ruff: noqa: S608 - every word of the SQL below stands in this file

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import psycopg
import pytest
from confluent_kafka import Producer
from psycopg.conninfo import conninfo_to_dict

from app.demo.crowd import CrowdThread
from app.reports.invariants import CHECKS, check_invariants, last_words, orders_at, verdicts
from app.reports.ledger import reverse
from app.reports.status import read_status
from app.workers.session import Session
from app.workers.supervisor import Group
from connectors.answers import Unknown
from connectors.clock import now_ms
from domain.errors import ConfigError
from domain.streams.records import RawMessage
from domain.times import datetime_of
from domain.topics import DEALER_TRANSACTIONS
from domain.venue.account import AccountEvent, OrderChanged
from tests.app.surroundings import open_database
from tests.app.trading import open_trading, settle
from tests.waiting import until

pytestmark = [pytest.mark.broker, pytest.mark.postgres]

TRADE = "(SELECT tx_id FROM ledger.tx WHERE template LIKE 'USER\\_%' ORDER BY tx_id DESC LIMIT 1)"
FILL = "(SELECT tx_id FROM ledger.tx WHERE template IN ('FILL_BOUGHT', 'FILL_SOLD') ORDER BY tx_id DESC LIMIT 1)"
EXPLAINED = "(SELECT tx_id FROM ledger.tx WHERE template LIKE '%EXCHANGE_POSITION' ORDER BY tx_id DESC LIMIT 1)"
CASH_FLOW = "(SELECT tx_id FROM ledger.tx WHERE meta -> 'flow_id' IS NOT NULL ORDER BY tx_id DESC LIMIT 1)"
NEWEST = "(SELECT client_id FROM treasury.request WHERE kind = '{}' ORDER BY reserved_at DESC LIMIT 1)"
NEWEST_ORDER, NEWEST_TRANSFER = NEWEST.format("order"), NEWEST.format("transfer")
ANOTHER_REJECTED = (
    "WITH another AS (INSERT INTO ledger.reject SELECT gen_random_uuid(), batch_id, 9999, 'insufficient_funds', NULL, NULL, NULL,"
    " 'TRANSFER', source, source_offset, body_hash, '{\"meta\": {}}' FROM ledger.tx LIMIT 1)"
)
"""Something else that the ledger rejected excuses nothing."""
AT_THE_FIRST = "UPDATE treasury.request SET reserved_at = (SELECT min(reserved_at) FROM treasury.request WHERE kind = '{}')"


def _copied(table: str, where: str, **changes: str) -> str:
    """SQL that adds a row like another one, but for these columns."""
    pairs = ", ".join(f"'{column}', {value}" for column, value in changes.items())
    row = f"jsonb_populate_record(r, jsonb_build_object({pairs}))"
    return f"INSERT INTO {table} SELECT ({row}).* FROM {table} r WHERE {where}"


BREACHES: dict[str, tuple[str, str, set[str]]] = {
    "a trade is gone": (f"DELETE FROM ledger.tx WHERE tx_id = {TRADE}", "is in 0 places", {"I1", "I2"}),
    "a fill is gone": (
        f"{ANOTHER_REJECTED} DELETE FROM ledger.tx WHERE tx_id = {FILL}",
        "fills and cash flows are not in the ledger",
        {"I1"},
    ),
    "a fill of ours is left in suspense": (
        f"{ANOTHER_REJECTED} DELETE FROM ledger.tx WHERE tx_id = {EXPLAINED}",
        "fills of our orders are in suspense",
        {"I1"},
    ),
    "a cash flow is gone": (
        f"{ANOTHER_REJECTED} DELETE FROM ledger.tx WHERE tx_id = {CASH_FLOW}",
        "not in the ledger",
        {"I1"},
    ),
    "an unreadable message is gone": ("DELETE FROM treasury.quarantine", "is not in quarantine", {"I1"}),
    "an unreadable message has other bytes": (
        "UPDATE treasury.quarantine SET raw = set_byte(raw, 0, get_byte(raw, 0) # 1) WHERE raw <> ''",
        "is not in quarantine with its bytes",
        {"I1"},
    ),
    "a trade is said to have been reversed": (
        f"INSERT INTO ledger.resolution SELECT {TRADE}, 'reversed', 0, TRUE, gen_random_uuid()",
        "not booked",
        {"I1", "I2"},
    ),
    "a trade is booked twice": (
        _copied("ledger.tx", f"tx_id = {TRADE}", tx_id="gen_random_uuid()"),
        "is booked 2 times",
        {"I1", "I2"},
    ),
    "a trade has other legs": (
        f"UPDATE ledger.tx SET meta = jsonb_set(meta::JSONB, '{{btc_leg,id}}', '\"nobody\"') WHERE tx_id = {TRADE}",
        "not implied by the messages",
        {"I1", "I2"},
    ),
    "an entry has another amount": (
        f"UPDATE ledger.entry SET amount = amount + 1 WHERE tx_id = {TRADE} AND leg = 1",
        "does not balance",
        {"I3", "I4"},
    ),
    "an entry is in another currency": (
        f"UPDATE ledger.entry SET currency = 'EUR' WHERE tx_id = {TRADE} AND leg = 1",
        "does not balance",
        {"I3", "I4"},
    ),
    "a balance is off by one": (
        "UPDATE ledger.balance SET settled_debit = settled_debit + 1",
        "is not the sum of its entries",
        {"I4"},
    ),
    "something is pending that nobody booked": (
        "UPDATE ledger.balance SET pending_debit = pending_debit + 1",
        "is not the sum of its entries",
        {"I4"},
    ),
    "both sides of a balance are higher": (
        "UPDATE ledger.balance SET settled_debit = settled_debit + 1, settled_credit = settled_credit + 1",
        "is not the sum of its entries",
        {"I4"},
    ),
    "a balance has no row": ("DELETE FROM ledger.balance", "is not the sum of its entries", {"I4"}),
    "a version was left out": (
        "UPDATE ledger.entry e SET version = e.version + 1 FROM ledger.balance b "
        "WHERE (e.account_id, e.currency, e.version) = (b.account_id, b.currency, b.version)",
        "is not the sum of its entries",
        {"I4"},
    ),
    "a running balance jumps": (
        f"UPDATE ledger.entry SET balance_after = balance_after + 1 WHERE tx_id = {TRADE} AND leg = 1",
        "does not go on from the one before it",
        {"I4"},
    ),
    "something is promised that nobody booked": (
        "UPDATE ledger.balance SET encumbered_credit = encumbered_credit + 1",
        "is not the sum of its entries",
        {"I4"},
    ),
    "two orders were open at once": (
        f"{AT_THE_FIRST.format('order')} WHERE client_id = {NEWEST_ORDER}",
        "was reserved while another one was open",
        {"I7"},
    ),
    "two transfers were open at once": (
        f"{AT_THE_FIRST.format('transfer')} WHERE client_id = {NEWEST_TRANSFER}",
        "was reserved while another one was open",
        {"I7"},
    ),
    "the history of requests is empty": (
        "DELETE FROM treasury.request_change",
        "the newest of its changes does not tell so",
        {"I7"},
    ),
    "an order is said to have ended otherwise": (
        f"UPDATE treasury.request SET filled = filled + 1 WHERE client_id = {NEWEST_ORDER}",
        "the newest of its changes does not tell so",
        {"I7"},
    ),
    "an order was never decided": (
        f"DELETE FROM treasury.decision WHERE id = (SELECT decision_id FROM treasury.request WHERE client_id = {NEWEST_ORDER})",
        "has no decision",
        {"I8"},
    ),
    "an order was never reserved": (
        f"DELETE FROM treasury.request WHERE client_id = {NEWEST_ORDER}",
        "was never reserved",
        {"I8"},
    ),
    "an order is not known at the exchange": (
        f"UPDATE treasury.request SET client_id = 'nobody' WHERE client_id = {NEWEST_ORDER}",
        "not known at the exchange",
        {"I7", "I8"},
    ),
}


class Left(NamedTuple):
    """What a worker left: where things are, the server and the name of its ledger, with which nobody is connected."""

    session: Session
    server: str
    database: str


@pytest.fixture(scope="module")
def left() -> Iterator[Left]:
    """Some seconds of trading, and then silence; one message was not readable."""
    with open_trading() as (session, folder):
        group = Group("everything", 1, session.env, folder / "worker.log")
        group.start()
        with CrowdThread(session.places.kafka, 7, 40):
            until(lambda: _orders(session) >= 3, "some orders")
        _send(session, b"not json")
        settle(session.places)
        assert [0] == group.stop(), (folder / "worker.log").read_text()
        dsn = session.places.dsn
        yield Left(session, dsn, str(conninfo_to_dict(dsn)["dbname"]))


def _orders(session: Session) -> int:
    with psycopg.connect(session.places.dsn) as connection:
        row = connection.execute(
            "SELECT least(count(*) FILTER (WHERE kind = 'order'), count(*) FILTER (WHERE kind = 'transfer'))"
            " FROM treasury.request"
        ).fetchone()
    return int(row[0]) if row else 0


def _send(session: Session, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": session.places.kafka.bootstrap})
    producer.produce(DEALER_TRANSACTIONS.name, value)
    assert 0 == producer.flush(10)


@contextmanager
def _copy(left: Left) -> Iterator[str]:
    maintenance = psycopg.conninfo.make_conninfo(left.server, dbname="postgres")
    with open_database(maintenance, template=left.database) as dsn:
        yield dsn


def test_what_the_flows_left_is_sound(left: Left) -> None:
    """Every check passes, and none was left out."""
    breaches = check_invariants(left.session.places, left.session.venue_urls)
    assert {name: [] for name in ("I1", "I2", "I3", "I4", "I7", "I8")} == breaches
    assert breaches.keys() == CHECKS.keys()


@pytest.mark.parametrize("name", sorted(BREACHES))
def test_a_planted_breach_is_found(name: str, left: Left) -> None:
    """With triggers out of the way, a damage that the database itself would refuse is found and said in a sentence."""
    statement, sentence, broken = BREACHES[name]
    with _copy(left) as dsn:
        with psycopg.connect(dsn) as connection:
            connection.execute("SET session_replication_role = replica")
            changed = connection.execute(statement).rowcount  # type: ignore[arg-type]
        assert 0 < changed
        places = left.session.places.__class__(dsn, left.session.places.kafka, False)
        breaches = check_invariants(places, left.session.venue_urls)
    assert broken == {name for name, verdict in verdicts(breaches).items() if verdict == "fail"}, breaches
    assert sentence in " ".join(text for found in breaches.values() for text in found)


def test_what_people_did_is_no_breach(left: Left) -> None:
    """A trade that was taken back by hand is where it belongs, and `status` no longer counts it."""
    with _copy(left) as dsn:
        with psycopg.connect(dsn) as connection:
            row = connection.execute(f"SELECT {TRADE}::TEXT").fetchone()
        assert row is not None
        reverse(dsn, row[0], datetime_of(now_ms()), "the customer was refunded")
        places = left.session.places.__class__(dsn, left.session.places.kafka, False)
        assert {name: [] for name in CHECKS} == check_invariants(places, left.session.venue_urls)
        assert read_status(left.session.places)["trades"] - 1 == read_status(places)["trades"]


def test_without_an_exchange_the_rest_is_checked(left: Left) -> None:
    """What can be judged without the exchange's own history is."""
    assert set(CHECKS) == check_invariants(left.session.places, {}).keys()


WAITS = b'{"leg_id":"l","state":"waiting","worth_cents":1,"created_at":1714564800000,"age_seconds":0,"as_of":1714564800000}'


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([], {}),
        ([WAITS], {"l": "waiting"}),
        ([WAITS, WAITS.replace(b"waiting", b"paired")], {"l": "paired"}),
        ([WAITS, b""], {"l": None}),
        ([WAITS, b"", WAITS], {"l": "waiting"}),
        ([WAITS, b'{"note":"typed by hand"}', b"[]"], {"l": "waiting"}),
    ],
)
def test_a_tombstone_takes_back_what_was_said(said: list[bytes], state: dict[str, str | None]) -> None:
    """The newest word on a leg holds; none is left after a null, and what is no word changes nothing."""
    assert state == last_words(RawMessage(offset, 0, b"l", value) for offset, value in enumerate(said))


class Busy:
    """An exchange that answers so many questions with an error before it answers one."""

    def __init__(self, errors: int) -> None:
        self._errors = errors

    def events(self, after_sequence: int, limit: int) -> list[AccountEvent]:  # noqa: ARG002
        """One order, and nothing after it."""
        if self._errors:
            self._errors -= 1
            msg = "status 503"
            raise Unknown(msg)
        order = OrderChanged(sequence=1, as_of_ms=1, client_order_id="o1", state="open", contracts=-1, filled_contracts=0)
        return [order] if after_sequence == 0 else []


def test_an_exchange_that_is_busy_for_a_moment_is_asked_again() -> None:
    """One answer of 503 is no reason to end; an exchange that is down is one sentence, and no verdict on the books."""
    assert {"o1"} == orders_at(Busy(1))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"does not answer .status 503.*cannot be checked"):
        orders_at(Busy(99))  # type: ignore[arg-type]
