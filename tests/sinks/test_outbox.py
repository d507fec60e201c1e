"""Requests in Postgres: by the same rules as in memory, guarded by the database, and never deleted."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import errors

from domain.messages.fields import Message
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.outbox.kinds import KINDS, ORDER, TRANSFER, State, refusal_of, report_of, states
from domain.outbox.lifecycle import Kind, Request, Row
from domain.outbox.memory import MemoryReservations
from domain.outbox.slots import Refused, Reserved
from sinks.migrations import migrate
from sinks.outbox import PostgresOutbox
from tests.sinks.ledger.checks import Sql

pytestmark = pytest.mark.postgres

NOW_MS = 1_700_000_000_123
HOUR_MS = 3_600_000


class Clock:
    """A clock that only the test turns."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    """A fixed time, unless the test turns it."""
    return Clock()


@pytest.fixture
def outbox(dsn: str, clock: Clock) -> Iterator[PostgresOutbox]:
    """The store over a fresh database."""
    store = PostgresOutbox(dsn, clock)
    yield store
    store.close()


def order(number: int, based_on_sequence: int = 0, venue: str = "sim", **fields: object) -> HedgeOrder:
    """An order that sells as many contracts as its number says."""
    own = {"decision_id": f"d{number}", "client_order_id": f"o{number}", "venue": venue, "as_of": NOW_MS - 1, **fields}
    return HedgeOrder.model_validate(own | {"action": "sell", "contracts": -number, "based_on_sequence": based_on_sequence})


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


def row(store: PostgresOutbox, kind: Kind, client_id: str) -> Row:
    """A row that must be there."""
    found = store.row(kind, client_id)
    assert found is not None
    return found


def finish(store: PostgresOutbox, kind: Kind, client_id: str, sequence: int) -> None:
    """End a row as the exchange's event of this sequence would."""
    store.record(row(store, kind, client_id)._replace(state=kind.done, sequence=sequence), NOW_MS + 5)


def test_a_row_comes_back_as_it_was_written(outbox: PostgresOutbox) -> None:
    """Every field survives, times to the millisecond, requests whole, amounts of any size."""
    big = order(7, contracts=-(10**30))
    for request in (big, transfer(8)):
        outbox.reserve(request)
    for kind, client_id, request in ((ORDER, "o7", big), (TRANSFER, "t8", transfer(8))):
        sent = row(outbox, kind, client_id)._replace(state="sent", sent_at_ms=NOW_MS + 1, sequence=3, reason="why")
        outbox.record(sent, NOW_MS + 2)
        assert (sent, request) == (row(outbox, kind, client_id), sent.request)
    assert [found.client_id for found in outbox.open_rows("sim")] == ["o7", "t8"]
    assert list(outbox.open_rows("other")) == []


def test_what_sql_reads_from_the_message_is_what_was_decided(outbox: PostgresOutbox, sql: Sql) -> None:
    """Decision, sequence and time of a row are those of its message."""
    outbox.reserve(order(7, 5))
    query = "SELECT decision_id, based_on_sequence, (extract(epoch FROM as_of) * 1000)::bigint, slot FROM treasury.request"
    assert [("d7", 5, NOW_MS - 1, "order sim")] == sql(query)


def test_the_same_request_again_is_a_replay(outbox: PostgresOutbox, clock: Clock) -> None:
    """Open or ended, and however late, the same request has its row; another body under the same id has not."""
    assert Reserved("o1", False) == outbox.reserve(order(1))
    assert Reserved("o1", True) == outbox.reserve(order(1))
    finish(outbox, ORDER, "o1", 9)
    clock.now_ms += HOUR_MS
    assert Reserved("o1", True) == outbox.reserve(order(1))
    assert Refused("o1 stands for another request") == outbox.reserve(order(1, based_on_sequence=8))
    assert len(outbox.changes("sim", 0, 10)) == 2


def test_one_slot_per_venue_and_kind(outbox: PostgresOutbox) -> None:
    """A second order waits for the first; another venue and a transfer do not."""
    outbox.reserve(order(1))
    assert Refused("slot taken by o1") == outbox.reserve(order(2))
    assert Reserved("t3", False) == outbox.reserve(transfer(3))
    assert Refused("slot taken by t3") == outbox.reserve(transfer(4))
    assert Reserved("o5", False) == outbox.reserve(order(5, venue="other"))


def test_a_decision_on_old_facts_is_refused(outbox: PostgresOutbox, clock: Clock) -> None:
    """After an order ended with event 9, only decisions that knew event 9 may follow, and none that is an hour old."""
    outbox.reserve(order(1))
    outbox.reserve(transfer(2))
    finish(outbox, ORDER, "o1", 9)
    finish(outbox, TRANSFER, "t2", 12)
    assert Refused("decided on a position that does not cover o1") == outbox.reserve(order(3, 8))
    assert Refused("decided on a balance that does not cover t2") == outbox.reserve(transfer(4, 11))
    clock.now_ms += HOUR_MS
    assert [Refused("decided on facts 3600 s old")] * 2 == [outbox.reserve(ask) for ask in (order(3, 9), transfer(4, 12))]
    clock.now_ms -= HOUR_MS
    assert Reserved("o3", False) == outbox.reserve(order(3, 9))
    assert Reserved("t4", False) == outbox.reserve(transfer(4, 12))


def test_a_decision_asks_once(outbox: PostgresOutbox) -> None:
    """The same decision under another id is refused by name, and not by an error that ends the flow."""
    outbox.reserve(order(1))
    finish(outbox, ORDER, "o1", 9)
    assert Refused("decision d1 has asked for o1 already") == outbox.reserve(order(2, 9, decision_id="d1"))


def test_an_end_is_final_and_recording_is_idempotent(outbox: PostgresOutbox) -> None:
    """The same again is no change, and a later word does not undo an end."""
    outbox.reserve(order(1))
    for _ in range(3):
        finish(outbox, ORDER, "o1", 9)
    outbox.record(row(outbox, ORDER, "o1")._replace(state="open", sequence=10), NOW_MS)
    assert [change.state for change in outbox.changes("sim", 0, 10)] == ["reserved", "filled"]
    assert (row(outbox, ORDER, "o1").state, row(outbox, ORDER, "o1").sequence) == ("filled", 9)


def test_an_order_given_up_may_turn_out_filled(outbox: PostgresOutbox) -> None:
    """Never placed is the one end that the exchange may correct, by another end and nothing else."""
    outbox.reserve(order(1))
    for state in ("not_placed", "open", "filled", "not_placed"):
        outbox.record(row(outbox, ORDER, "o1")._replace(state=state, sequence=9), NOW_MS)
    assert [change.state for change in outbox.changes("sim", 0, 10)] == ["reserved", "not_placed", "filled"]


def test_changes_are_read_on_from_a_cursor(outbox: PostgresOutbox) -> None:
    """Pages of one give the same as one page, in the order of commits."""
    outbox.reserve(order(1))
    outbox.reserve(transfer(2))
    finish(outbox, ORDER, "o1", 9)
    whole = outbox.changes("sim", 0, 10)
    after, paged = 0, []
    while page := outbox.changes("sim", after, 1):
        paged.extend(page)
        after = page[-1].id
    assert [(c.client_id, c.state) for c in whole] == [("o1", "reserved"), ("t2", "reserved"), ("o1", "filled")]
    assert list(whole) == paged


# The twin in memory.

ASKS = st.tuples(
    st.just("reserve"),
    st.sampled_from(("order", "transfer")),
    st.integers(1, 6),
    st.integers(0, 6),
    st.sampled_from((0, 0, 0, 19_999, 20_001)),
)
WORDS = st.tuples(
    st.just("record"),
    st.sampled_from(("order", "transfer")),
    st.integers(1, 6),
    st.integers(0, 6),
    st.integers(0, 7),
)
ACTS = st.lists(ASKS | WORDS, max_size=40)


def wanted(kind: str, number: int, based_on: int, late_ms: int) -> Request:
    """A request among few ids and decisions, so that they meet."""
    request = order(number, based_on) if kind == "order" else transfer(number, based_on)
    decision = f"{kind} {number if number % 3 else 1}"
    return request.model_copy(update={"as_of": NOW_MS - late_ms, "decision_id": decision})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=ACTS)
def test_stored_and_in_memory_are_the_same(
    outbox: PostgresOutbox, sql: Sql, acts: Sequence[tuple[Literal["reserve", "record"], str, int, int, int]]
) -> None:
    """Whatever is asked for and heard in whatever order, verdicts, rows and changes are the same in both."""
    sql("SET session_replication_role = replica; DELETE FROM treasury.request_change; DELETE FROM treasury.request")
    memory = MemoryReservations(lambda: NOW_MS)
    for act, name, number, sequence, choice in acts:
        kind = KINDS[name]
        if act == "reserve":
            request = wanted(name, number, sequence, choice)
            assert memory.reserve(request) == outbox.reserve(request)
        elif known := memory.row(kind, f"{name[0]}{number}"):
            state = sorted(kind.stages)[choice % len(kind.stages)]
            word = known._replace(state=state, sequence=sequence, filled=choice, reason="x" * number, not_found=2)
            memory.record(word, NOW_MS + choice)
            outbox.record(word, NOW_MS + choice)
    assert memory.open_rows("sim") == outbox.open_rows("sim")
    told = memory.changes("sim", 0, 99)
    assert [change[1:] for change in told] == [change[1:] for change in outbox.changes("sim", 0, 99)]
    for change in told:
        assert memory.row(change.kind, change.client_id) == outbox.row(change.kind, change.client_id)


# Those who come together.


def rivals(dsn: str, requests: Sequence[Request]) -> list[Reserved | Refused]:
    """The verdicts on requests that as many threads want to reserve at once."""
    verdicts: list[Reserved | Refused] = []

    def ask(request: Request) -> None:
        store = PostgresOutbox(dsn, lambda: NOW_MS)
        verdicts.append(store.reserve(request))
        store.close()

    threads = [threading.Thread(target=ask, args=[request]) for request in requests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return verdicts


def test_rivals_get_one_slot(dsn: str) -> None:
    """Eight threads ask for the slot at once: one has it, and the others hear by whom it is taken."""
    verdicts = rivals(dsn, [order(number) for number in range(1, 9)])
    (winner,) = (verdict for verdict in verdicts if isinstance(verdict, Reserved))
    assert [Refused(f"slot taken by {winner.client_id}")] * 7 == [one for one in verdicts if isinstance(one, Refused)]


def test_a_replay_beside_the_first_is_one_row(dsn: str) -> None:
    """Two workers that have both decided the same: one reserves, the other finds it reserved."""
    verdicts = rivals(dsn, [order(1)] * 4)
    assert [False, True, True, True] == sorted(verdict.is_replay for verdict in verdicts if isinstance(verdict, Reserved))


def test_who_reserves_wakes_who_waits(outbox: PostgresOutbox, dsn: str) -> None:
    """Whoever waits for a venue returns when something is reserved there, before it waited or while it waits."""
    gateway = PostgresOutbox(dsn, lambda: NOW_MS)
    gateway.wait("sim", 0)
    outbox.reserve(order(1, venue="other"))
    outbox.reserve(order(2))
    gateway.wait("sim", 60)
    waiting = threading.Thread(target=gateway.wait, args=["sim", 60])
    waiting.start()
    outbox.reserve(transfer(3))
    waiting.join(30)
    assert not waiting.is_alive()
    gateway.close()


# The database by itself.


def test_the_database_knows_the_states_of_the_program(sql: Sql) -> None:
    """State by state, with their stages."""
    assert states() == {State(*found) for found in sql("SELECT kind, state, stage, takes_slot FROM treasury.request_state")}


INSERT = """
INSERT INTO treasury.request (kind, client_id, counterparty, body, slot, state, stage, reserved_at, finished_at)
VALUES ('{kind}', '{0}', 'sim', '{{"decision_id": "d {0}", "based_on_sequence": {based_on}, "as_of": 0}}', {slot}, '{1}',
    '{2}', now(), {finished})
"""


def insert(name: str, state: str, stage: str, slot: str = "'order sim'", finished: str = "NULL", **words: object) -> str:
    """SQL that writes a request past the code."""
    return INSERT.format(name, state, stage, slot=slot, finished=finished, **({"kind": "order", "based_on": 0} | words))


REOPEN = "UPDATE treasury.request SET state = 'open', stage = 'under_way', finished_at = NULL WHERE client_id = 'x'"
FAIL = "UPDATE treasury.request SET state = 'failed' WHERE client_id = 'x'"


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("DELETE FROM treasury.request", errors.RestrictViolation),
        ("TRUNCATE treasury.request CASCADE", errors.RestrictViolation),
        ("UPDATE treasury.request_change SET state = 'open'", errors.RestrictViolation),
        ("DELETE FROM treasury.request_change", errors.RestrictViolation),
        ("TRUNCATE treasury.request_change", errors.RestrictViolation),
        ("UPDATE treasury.decision SET reason = 'x'", errors.RestrictViolation),
        ("DELETE FROM treasury.decision", errors.RestrictViolation),
        ("TRUNCATE treasury.decision", errors.RestrictViolation),
        ("UPDATE treasury.quarantine SET reason = 'x'", errors.RestrictViolation),
        ("DELETE FROM treasury.quarantine", errors.RestrictViolation),
        ("UPDATE treasury.request SET stage = 'under_way', finished_at = NULL", errors.RestrictViolation),
        ("UPDATE treasury.request SET reason = 'x' WHERE kind = 'order'", errors.RestrictViolation),
        ("UPDATE treasury.request SET client_id = 'x' WHERE kind = 'transfer'", errors.RestrictViolation),
        ("UPDATE treasury.request SET body = body || '{\"as_of\": 9}' WHERE kind = 'transfer'", errors.RestrictViolation),
        ("UPDATE treasury.request SET slot = 'another' WHERE kind = 'transfer'", errors.RestrictViolation),
        ("UPDATE treasury.request SET counterparty = 'x' WHERE kind = 'transfer'", errors.RestrictViolation),
        ("UPDATE treasury.request SET state = 'invented' WHERE kind = 'transfer'", errors.ForeignKeyViolation),
        ("UPDATE treasury.request SET stage = 'sent' WHERE kind = 'transfer'", errors.ForeignKeyViolation),
        ("UPDATE treasury.request SET state = 'done', stage = 'ended' WHERE kind = 'transfer'", errors.CheckViolation),
        ("UPDATE treasury.request SET finished_at = now() WHERE kind = 'transfer'", errors.CheckViolation),
        ("UPDATE treasury.request_state SET stage = 'ended' WHERE state = 'reserved'", errors.ForeignKeyViolation),
        ("DELETE FROM treasury.request_state WHERE state = 'reserved'", errors.ForeignKeyViolation),
        (insert("x", "filled", "ended"), errors.CheckViolation),
        (insert("x", "filled", "under_way"), errors.ForeignKeyViolation),
        (insert("x", "open", "under_way", finished="now()"), errors.CheckViolation),
        (insert("x", "open", "under_way", slot="NULL"), errors.ForeignKeyViolation),
        (insert("x", "open", "under_way", kind="nonsense"), errors.ForeignKeyViolation),
        (insert("x", "open", "under_way", based_on=-1), errors.CheckViolation),
        (insert("x", "open", "under_way") + ";" + insert("y", "sent", "sent"), errors.UniqueViolation),
        (
            ";".join(insert(name, "pending", "under_way", "'transfer x'", kind="transfer") for name in ("x", "y")),
            errors.UniqueViolation,
        ),
        (";".join((insert("x", "not_placed", "never_arrived", finished="now()"), REOPEN)), errors.RestrictViolation),
        (
            ";".join((insert("x", "done", "ended", "'transfer x'", finished="now()", kind="transfer"), FAIL)),
            errors.RestrictViolation,
        ),
        (insert("o1", "open", "under_way"), errors.UniqueViolation),
        (insert("x", "open", "under_way").replace("d x", "d1"), errors.UniqueViolation),
    ],
)
def test_the_database_keeps_the_evidence(
    outbox: PostgresOutbox, sql: Sql, statement: str, error: type[psycopg.Error]
) -> None:
    """Whoever writes past the code: rows stay what was asked and as they ended, states are known, a slot is held once."""
    outbox.reserve(order(1))
    finish(outbox, ORDER, "o1", 9)
    outbox.reserve(transfer(2))
    sql(
        "INSERT INTO treasury.policy (version, body) VALUES ('1', '{}');"
        "INSERT INTO treasury.decision (id, kind, book, venue, policy, policy_version, action, rule, reason, amount,"
        " unit, inputs, refused, as_of) VALUES ('d', 'hedge', 'main', 'sim', 'p', '1', 'a', 'r', 'r', 1, 'none', '{}', '[]',"
        " now())"
    )
    sql(r"INSERT INTO treasury.quarantine VALUES ('t', 0, 0, 'r', 'd', NULL, '\x00')")
    with pytest.raises(error):
        sql(statement)


# A kind that comes later.


class Errand(Message):
    """A message that asks for something that no table has heard of."""

    decision_id: str
    errand_id: str
    shop: str
    basket: str
    based_on_sequence: int = 0
    as_of: int = NOW_MS


class ErrandReport(Message):
    """What became of it."""

    decision_id: str
    errand_id: str
    shop: str
    state: str
    reason: str | None
    sequence: int
    as_of: int


ERRAND = Kind(
    name="errand",
    model=Errand,
    report=ErrandReport,
    client_id="errand_id",
    counterparty="shop",
    answers={"queueing": "under_way", "paying": "under_way", "bought": "ended", "closed": "ended", "lost": "never_arrived"},
    done="bought",
    refused="closed",
    slot_by="basket",
)


def test_a_new_kind_needs_a_row_and_its_messages(dsn: str, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the program lists a kind and has migrated, it is reserved, guarded, followed and reported like any other."""
    monkeypatch.setitem(KINDS, "errand", ERRAND)
    assert [] == migrate(dsn)
    outbox = PostgresOutbox(dsn, lambda: NOW_MS)
    bread = Errand(decision_id="hungry", errand_id="bread", shop="baker", basket="blue")
    # Its slot is the basket, whatever the shop.
    milk = Errand(decision_id="thirsty", errand_id="milk", shop="dairy", basket="blue")
    assert [Reserved("bread", False), Refused("slot taken by bread")] == [outbox.reserve(ask) for ask in (bread, milk)]
    (found,) = outbox.open_rows("baker")
    for state, at_ms in (("sent", 1), ("queueing", 2), ("paying", 3), ("bought", 4)):
        outbox.record(found._replace(state=state, sent_at_ms=NOW_MS, sequence=at_ms), NOW_MS + at_ms)
    assert [] == outbox.open_rows("baker")
    reports = [report_of(change) for change in outbox.changes("baker", 0, 9)]
    assert ["reserved", "sent", "queueing", "paying", "bought"] == [getattr(report, "state", "") for report in reports]
    assert isinstance(refusal_of(milk, "no", NOW_MS), ErrandReport)
    assert Reserved("milk", False) == outbox.reserve(milk.model_copy(update={"based_on_sequence": 4}))
    with pytest.raises(errors.UniqueViolation):
        sql(insert("x", "paying", "under_way", kind="errand", slot="'errand blue'"))
    outbox.close()


def test_rivals_at_other_counterparties_get_one_slot_too(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slot that is not named by the counterparty is held once over all of them."""
    monkeypatch.setitem(KINDS, "errand", ERRAND)
    migrate(dsn)
    names = [f"shop {number}" for number in range(8)]
    verdicts = rivals(dsn, [Errand(decision_id=name, errand_id=name, shop=name, basket="blue") for name in names])
    (winner,) = (verdict for verdict in verdicts if isinstance(verdict, Reserved))
    assert [Refused(f"slot taken by {winner.client_id}")] * 7 == [one for one in verdicts if isinstance(one, Refused)]


def test_a_kind_without_slots_may_have_many_open(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of such a kind any number is under way at once, also of one decision; the oldest is worked first."""
    monkeypatch.setitem(KINDS, "errand", replace(ERRAND, slot_by=None))
    migrate(dsn)
    outbox = PostgresOutbox(dsn, lambda: NOW_MS)
    names = ["a", "b", "c"]
    for name in names:
        errand = Errand(decision_id="hungry", errand_id=name, shop="baker", basket="blue")
        assert Reserved(name, False) == outbox.reserve(errand)
    assert names == [found.client_id for found in outbox.open_rows("baker")]
    outbox.close()


def test_a_state_in_use_keeps_its_meaning(dsn: str, outbox: PostgresOutbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that says otherwise of a state that rows are in is not let in."""
    outbox.reserve(order(1))
    finish(outbox, ORDER, "o1", 9)
    other = {**ORDER.answers, "filled": "under_way"}
    monkeypatch.setitem(KINDS, "order", replace(ORDER, answers=other))
    with pytest.raises(errors.ForeignKeyViolation):
        migrate(dsn)
