"""Reservations in Postgres: by the same rules as in memory, guarded by the database, and never deleted."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from domain.execution import WORDS, Row, What
from domain.memory_reservations import MemoryReservations
from domain.messages import CollateralTransfer, HedgeOrder
from domain.reservations import Refused, Reserved
from sinks.orders import Reservations

pytestmark = pytest.mark.postgres

NOW_MS = 1_700_000_000_123


@pytest.fixture
def orders(dsn: str) -> Iterator[Reservations]:
    """The store over a fresh database, at a fixed time."""
    store = Reservations(dsn, lambda: NOW_MS)
    yield store
    store.close()


def order(number: int, based_on_sequence: int = 0, venue: str = "sim") -> HedgeOrder:
    """An order that sells as many contracts as its number says."""
    return HedgeOrder(
        decision_id=f"d{number}",
        client_order_id=f"o{number}",
        venue=venue,
        action="sell",
        contracts=-number,
        based_on_sequence=based_on_sequence,
        as_of=NOW_MS - 1,
    )


def transfer(number: int, based_on_sequence: int = 0) -> CollateralTransfer:
    """A deposit of as many bitcoins as its number says."""
    return CollateralTransfer(
        decision_id=f"e{number}",
        client_transfer_id=f"t{number}",
        venue="sim",
        kind="deposit",
        amount_sats=number * 10**8,
        based_on_sequence=based_on_sequence,
        as_of=NOW_MS - 1,
    )


def row(store: Reservations, what: What, client_id: str) -> Row:
    """A row that must be there."""
    found = store.row(what, client_id)
    assert found is not None
    return found


def finish(store: Reservations, what: What, client_id: str, sequence: int) -> None:
    """End a row as the exchange's event of this sequence would."""
    done = row(store, what, client_id)._replace(state=WORDS[what].done, filled=0, sequence=sequence)
    store.record(done, NOW_MS + 5)


def test_a_row_comes_back_as_it_was_written(orders: Reservations) -> None:
    """Every field survives, times to the millisecond, requests whole."""
    orders.reserve_order(order(7))
    orders.reserve_transfer(transfer(8))
    for what, client_id in (("order", "o7"), ("transfer", "t8")):
        sent = row(orders, what, client_id)._replace(state="sent", sent_at_ms=NOW_MS + 1, sequence=3, reason="why")
        orders.record(sent, NOW_MS + 2)
        assert sent == row(orders, what, client_id)
    assert (order(7), transfer(8)) == (row(orders, "order", "o7").request, row(orders, "transfer", "t8").request)
    assert [found.client_id for found in orders.open_rows("sim")] == ["o7", "t8"]
    assert list(orders.open_rows("other")) == []


def test_the_same_request_again_is_a_replay(orders: Reservations) -> None:
    """Open or ended, the same request has its row; another body under the same id has not."""
    assert Reserved("o1", False) == orders.reserve_order(order(1))
    assert Reserved("o1", True) == orders.reserve_order(order(1))
    finish(orders, "order", "o1", 9)
    assert Reserved("o1", True) == orders.reserve_order(order(1))
    assert isinstance(orders.reserve_order(order(1, based_on_sequence=8)), Refused)
    assert len(orders.changes("sim", 0, 10)) == 2


def test_one_slot_per_venue_and_kind(orders: Reservations) -> None:
    """A second order waits for the first; another venue and a transfer do not."""
    orders.reserve_order(order(1))
    assert Refused("slot taken by o1") == orders.reserve_order(order(2))
    assert Reserved("t3", False) == orders.reserve_transfer(transfer(3))
    assert Refused("slot taken by t3") == orders.reserve_transfer(transfer(4))
    assert Reserved("o5", False) == orders.reserve_order(order(5, venue="other"))


def test_a_decision_on_old_facts_is_refused(orders: Reservations) -> None:
    """After an order ended with event 9, only decisions that knew event 9 may follow; so for transfers."""
    orders.reserve_order(order(1))
    orders.reserve_transfer(transfer(2))
    finish(orders, "order", "o1", 9)
    finish(orders, "transfer", "t2", 12)
    assert Refused("decided on a position that does not cover o1") == orders.reserve_order(order(3, 8))
    assert Refused("decided on a balance that does not cover t2") == orders.reserve_transfer(transfer(4, 11))
    assert Reserved("o3", False) == orders.reserve_order(order(3, 9))
    assert Reserved("t4", False) == orders.reserve_transfer(transfer(4, 12))


def test_an_end_is_final_and_recording_is_idempotent(orders: Reservations) -> None:
    """The same again is no change, and a later word does not undo an end."""
    orders.reserve_order(order(1))
    for _ in range(3):
        finish(orders, "order", "o1", 9)
    orders.record(row(orders, "order", "o1")._replace(state="open", sequence=10), NOW_MS)
    assert [change.state for change in orders.changes("sim", 0, 10)] == ["reserved", "filled"]
    assert (row(orders, "order", "o1").state, row(orders, "order", "o1").sequence) == ("filled", 9)


def test_an_order_given_up_may_turn_out_filled(orders: Reservations) -> None:
    """Never placed is the one end that the exchange may correct."""
    orders.reserve_order(order(1))
    orders.record(row(orders, "order", "o1")._replace(state="not_placed"), NOW_MS)
    finish(orders, "order", "o1", 9)
    assert [change.state for change in orders.changes("sim", 0, 10)] == ["reserved", "not_placed", "filled"]


def test_stored_and_in_memory_are_the_same(orders: Reservations) -> None:
    """The same requests and words give the same verdicts, rows and changes in both."""
    memory = MemoryReservations(lambda: NOW_MS)
    for number, based_on in enumerate([0, 0, 3, 5, 5, 1, 9, 9], start=1):
        for _ in range(2):
            assert memory.reserve_order(order(number, based_on)) == orders.reserve_order(order(number, based_on))
        assert memory.reserve_transfer(transfer(number, based_on)) == orders.reserve_transfer(transfer(number, based_on))
        if number % 2 == 0:
            for open_row in memory.open_rows("sim"):
                done = open_row._replace(state=WORDS[open_row.what].done, sequence=number, reason="x", not_found=2)
                memory.record(done, NOW_MS)
                orders.record(done, NOW_MS)
    names = {(change.what, change.client_id) for change in memory.changes("sim", 0, 99)}
    rows = [found for what, client_id in sorted(names) if (found := memory.row(what, client_id))]
    assert rows == [row(orders, found.what, found.client_id) for found in rows]
    assert [change[1:] for change in memory.changes("sim", 0, 99)] == [c[1:] for c in orders.changes("sim", 0, 99)]


def test_changes_are_read_on_from_a_cursor(orders: Reservations) -> None:
    """Pages of one give the same as one page, in the order of commits."""
    orders.reserve_order(order(1))
    orders.reserve_transfer(transfer(2))
    finish(orders, "order", "o1", 9)
    whole = orders.changes("sim", 0, 10)
    after, paged = 0, []
    while page := orders.changes("sim", after, 1):
        paged.extend(page)
        after = page[-1].id
    assert [(c.client_id, c.state) for c in whole] == [("o1", "reserved"), ("t2", "reserved"), ("o1", "filled")]
    assert list(whole) == paged


def test_rivals_get_one_slot(dsn: str) -> None:
    """Eight threads ask for the slot at once: one has it."""
    verdicts: list[Reserved | Refused] = []

    def ask(number: int) -> None:
        store = Reservations(dsn, lambda: NOW_MS)
        verdicts.append(store.reserve_order(order(number)))
        store.close()

    rivals = [threading.Thread(target=ask, args=[number]) for number in range(1, 9)]
    for rival in rivals:
        rival.start()
    for rival in rivals:
        rival.join()
    assert sum(isinstance(verdict, Reserved) for verdict in verdicts) == 1
    assert len(verdicts) == 8


INSERT = """
INSERT INTO treasury.venue_order (client_order_id, decision_id, venue, instrument, action, contracts, based_on_sequence,
    as_of, state, reserved_at)
VALUES ('{0}', 'd {0}', 'sim', 'BTC-USD-SWAP', '{1}', {2}, 0, now(), '{3}', now())
"""


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DELETE FROM treasury.venue_order", errors.RestrictViolation),
        ("TRUNCATE treasury.venue_order", errors.RestrictViolation),
        ("DELETE FROM treasury.venue_transfer", errors.RestrictViolation),
        ("UPDATE treasury.state_change SET state = 'x'", errors.RestrictViolation),
        ("DELETE FROM treasury.state_change", errors.RestrictViolation),
        ("UPDATE treasury.decision SET reason = 'x'", errors.RestrictViolation),
        ("DELETE FROM treasury.decision", errors.RestrictViolation),
        ("TRUNCATE treasury.decision", errors.RestrictViolation),
        ("UPDATE treasury.quarantine SET reason = 'x'", errors.RestrictViolation),
        ("DELETE FROM treasury.quarantine", errors.RestrictViolation),
        ("UPDATE treasury.venue_order SET state = 'open', finished_at = NULL", errors.RestrictViolation),
        ("UPDATE treasury.venue_transfer SET state = 'invented'", errors.CheckViolation),
        ("UPDATE treasury.venue_transfer SET state = 'done'", errors.CheckViolation),
        (INSERT.format("x", "sell", 1, "reserved"), errors.CheckViolation),
        (INSERT.format("x", "buy", 1, "filled"), errors.CheckViolation),
        (INSERT.format("x", "buy", 1, "open") + ";" + INSERT.format("y", "buy", 1, "sent"), errors.UniqueViolation),
        (INSERT.format("o1", "buy", 1, "open"), errors.UniqueViolation),
    ],
)
def test_the_database_keeps_the_evidence(orders: Reservations, dsn: str, statement: str, error: type[psycopg.Error]) -> None:
    """Whoever writes past the code: rows stay, ends stay, states are known ones, and a slot is held once."""
    orders.reserve_order(order(1))
    finish(orders, "order", "o1", 9)
    orders.reserve_transfer(transfer(2))
    with psycopg.connect(dsn, autocommit=True) as direct:
        direct.execute(
            "INSERT INTO treasury.decision (id, kind, venue, policy, policy_version, action, rule, reason, amount,"
            " unit, inputs, refused, as_of) VALUES ('d', 'hedge', 'sim', 'p', 1, 'a', 'r', 'r', 1, 'none', '{}', '[]',"
            " now())"
        )
        direct.execute(r"INSERT INTO treasury.quarantine VALUES ('t', 0, 0, 'r', 'd', NULL, '\x00')")
        with pytest.raises(error):
            direct.execute(statement)
