"""The liability flow: every leg ends in the books once, whatever the cuts, the workers, the order and the crashes."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.users import Crowd, Users
from connectors.recorded import Recorded
from domain import topics
from domain.memory_ledger import MemoryLedger
from domain.messages import DealerTransaction, LegRefusal, Message, Quarantined, UserTrade, WaitingLeg
from domain.topics import Topic
from flows import liability
from operators.recall import Memory
from sinks.memory import ListSink
from tests.flows.runs import EVERY_LEG, Run, run, said_on
from tests.flows.streams import START_MS, cash_flow, fill, leg, live_trades, pair, recorded, settled

LEGS = "dealer.transactions"
DAY_MS = 86_400_000


def told(said: Run, topic: Topic) -> list[Any]:
    """The messages that a run put on a topic, read back."""
    return [topic.model.model_validate_json(value) for value in said_on(said, topic)]


def crowd(count: int = 60) -> Recorded:
    """Simulated users over all partitions: pending and failed legs, garbage, and legs that are hard to tell apart."""
    users = Users(Crowd(7, pending_per_thousand=150, failed_per_thousand=50, garbage_per_thousand=50), "r")
    tapes: dict[str, list[tuple[int, Message | bytes]]] = {}
    for number in range(count):
        for line in users.trade(START_MS + number * 120, Decimal(40_000)):
            tapes.setdefault(f"{LEGS}/{number % 4}", []).append((number * 120 + line.delay_ms, line.value))
    for number, name in enumerate(("bx", "ux", "bz", "uy", "by", "uz")):
        close = leg(name, 2_000 + (number % 3), memo="JournalId:close")
        tapes[f"{LEGS}/{number % 4}"].append((9_000 + number * 7, close))
    tapes["venue.fills"] = [(500, fill(-3, 1)), (900, fill(2, 2))]
    tapes["venue.cashflows"] = [(501, cash_flow("fee", -9)), (950, cash_flow("deposit", 5_000, "c2"))]
    return recorded({name: sorted(said, key=lambda one: one[0]) for name, said in tapes.items()})


CROWD = crowd()
EXPECTED = run(CROWD, liability.flow)


def test_the_crowd_is_worth_its_name() -> None:
    """The workload has trades, reversals, refusals, quarantined messages, fills and cash flows."""
    templates = {transaction.template for transaction in EXPECTED.ledger.transactions()}
    assert {"USER_BUYS_USD", "USER_SELLS_USD", "DECREASE_EXCHANGE_POSITION", "TRADING_FEE", "DEPOSIT"} <= templates
    assert any(template.startswith("REVERT_") for template in templates)
    assert len(live_trades(EXPECTED.ledger)) > 40
    assert {"failed"} <= {refusal.reason for refusal in told(EXPECTED, topics.LEGS_REFUSED)}
    assert told(EXPECTED, topics.quarantine(topics.DEALER_TRANSACTIONS))


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_books_do_not_depend_on_cuts_or_workers(batch_size: int, workers: int) -> None:
    """The same transactions, entries and balances, row by row, for every batch size and number of workers."""
    assert EXPECTED.books == run(CROWD, liability.flow, batch_size=batch_size, workers=workers).books


@pytest.mark.parametrize("crash_at", [1, 5, 20, 30])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_crash_loses_nothing_and_books_nothing_twice(crash_at: int, batch_size: int, tmp_path: Path) -> None:
    """Gone on from the recovery store, over the same ledger, the books are row by row those of an undisturbed run."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability.flow, ledger=ledger, batch_size=batch_size, crash_at=crash_at, recovery=store)
    after = run(CROWD, liability.flow, ledger=ledger, batch_size=batch_size, recovery=store, memory=EVERY_LEG)
    assert EXPECTED.books == after.books


def test_crashes_in_a_row(tmp_path: Path) -> None:
    """A run that crashes again and again ends with the same books."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    for crash_at in (3, 6, 9, 14, 21, 28):
        run(CROWD, liability.flow, ledger=ledger, batch_size=2, crash_at=crash_at, recovery=store, memory=EVERY_LEG)
    assert EXPECTED.books == run(CROWD, liability.flow, ledger=ledger, recovery=store, memory=EVERY_LEG).books


@pytest.mark.parametrize("crash_at", [1, 10, 30])
def test_a_lost_recovery_store_is_made_up_for(crash_at: int, tmp_path: Path) -> None:
    """Without its recovery store a run reads everything again, and the ledger's books stand as they are."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability.flow, ledger=ledger, batch_size=3, crash_at=crash_at, recovery=store)
    rmtree(store)
    after = run(CROWD, liability.flow, ledger=ledger, recovery=store, memory=EVERY_LEG)
    assert live_trades(EXPECTED.ledger) == live_trades(after.ledger)
    assert settled(EXPECTED.ledger) == settled(after.ledger)
    assert ([], []) == (after.ledger.conflicts, after.ledger.rejected)


@pytest.mark.parametrize("crash_at", [2, 10, 25])
def test_nobody_downstream_misses_a_trade(crash_at: int, tmp_path: Path) -> None:
    """What was booked and never told, because the run crashed in between, is told by the next one."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability.flow, ledger=ledger, batch_size=1, crash_at=crash_at)
    after = run(CROWD, liability.flow, ledger=ledger, recovery=store, memory=EVERY_LEG)
    wanted = {trade.transaction_id for trade in told(EXPECTED, topics.USER_TRADES)}
    assert wanted == {trade.transaction_id for trade in told(after, topics.USER_TRADES)}


def test_two_runs_are_byte_equal() -> None:
    """The same tapes give the same messages, byte for byte, in the same order."""
    again = run(CROWD, liability.flow)
    for topic in topics.ALL:
        assert said_on(EXPECTED, topic) == said_on(again, topic)


def test_everything_read_is_accounted_for() -> None:
    """Every message is exactly one of: part of a live trade, waiting, refused or quarantined."""
    read = sum(len(tape) for (name, _), tape in CROWD.items() if name == LEGS)
    bad = len(told(EXPECTED, topics.quarantine(topics.DEALER_TRANSACTIONS)))
    legs = {
        message.id
        for (name, _), tape in CROWD.items()
        for message in (_leg_or_none(one.value) for one in tape if name == LEGS)
        if message
    }
    paired = {leg_id for trade in live_trades(EXPECTED.ledger) for leg_id in trade}
    states = {word.leg_id: word.state for word in told(EXPECTED, topics.LEGS_WAITING)}
    waiting = {leg_id for leg_id, state in states.items() if state in ("waiting", "pending", "too_old")}
    refused = {one.leg_id for one in told(EXPECTED, topics.LEGS_REFUSED)}
    assert legs == paired | waiting | refused
    assert len(legs) == len(paired) + len(waiting) + len(refused)
    assert 0 < bad < read


def _leg_or_none(value: bytes) -> DealerTransaction | None:
    try:
        return DealerTransaction.model_validate_json(value)
    except ValueError:
        return None


# Any legs, in any order, from any partitions.

CENTS = st.integers(1_000, 1_004)
CHOICES = st.lists(
    st.tuples(st.sampled_from("bu"), CENTS, st.booleans(), st.integers(0, 1), st.sampled_from((None, "JournalId:1"))),
    max_size=12,
)
SHUFFLED = CHOICES.flatmap(
    lambda choices: st.tuples(
        st.just([leg(f"{kind}{n}", c, buys=b, second=s, memo=m) for n, (kind, c, b, s, m) in enumerate(choices)]),
        st.permutations(range(len(choices))),
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=len(choices), max_size=len(choices)),
    )
)


def dealt(legs: Sequence[Message], places: Sequence[tuple[int, int]]) -> Recorded:
    """Legs in this order over partitions, each so many milliseconds after the one before it."""
    tapes: dict[str, list[tuple[int, Message | bytes]]] = {}
    after_ms = 0
    for one, (partition, pause_ms) in zip(legs, places, strict=True):
        after_ms += pause_ms
        tapes.setdefault(f"{LEGS}/{partition}", []).append((after_ms, one))
    return recorded(tapes)


@settings(max_examples=25)
@given(SHUFFLED, st.sampled_from((1, 3, 100)))
def test_final_books_do_not_depend_on_arrival(
    dealing: tuple[list[DealerTransaction], list[int], list[tuple[int, int]]], batch_size: int
) -> None:
    """Live trades and balances are those of the legs, in whatever order and partitions they arrive."""
    legs, order, places = dealing
    one = run(dealt(legs, [(0, 0)] * len(legs)), liability.flow)
    other = run(dealt([legs[place] for place in order], places), liability.flow, batch_size=batch_size)
    assert live_trades(one.ledger) == live_trades(other.ledger)
    assert settled(one.ledger) == settled(other.ledger)
    assert ([], []) == (other.ledger.conflicts, other.ledger.rejected)


@settings(max_examples=15)
@given(SHUFFLED, st.integers(0, 6))
def test_another_order_after_a_crash_mends_the_books(
    dealing: tuple[list[DealerTransaction], list[int], list[tuple[int, int]]], crash_at: int
) -> None:
    """A second run over the same ledger that reads in another order (as live cuts may) ends with the same books."""
    legs, order, places = dealing
    ledger = MemoryLedger()
    run(dealt([legs[place] for place in order], places), liability.flow, ledger=ledger, batch_size=1, crash_at=crash_at)
    after = run(dealt(legs, [(0, 0)] * len(legs)), liability.flow, ledger=ledger, memory=EVERY_LEG)
    expected = run(dealt(legs, [(0, 0)] * len(legs)), liability.flow)
    assert live_trades(expected.ledger) == live_trades(after.ledger)
    assert settled(expected.ledger) == settled(after.ledger)
    assert [] == after.ledger.conflicts


@settings(max_examples=15)
@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=12))
def test_clocks_of_producers_do_not_matter(times: list[int]) -> None:
    """A partition whose timestamps go back and forth gives the same books for every batch size."""
    legs = [one for number in range((len(times) + 1) // 2) for one in pair(str(number), 2_000 + number)]
    tapes = recorded({f"{LEGS}/0": [(10_000 + at_ms, one) for at_ms, one in zip(times, legs, strict=False)]})
    expected = run(tapes, liability.flow, batch_size=1000).books
    assert [expected, expected] == [run(tapes, liability.flow, batch_size=size).books for size in (1, 3)]


# What becomes of single legs.


def test_a_leg_that_comes_days_later_still_pairs() -> None:
    """A waiting leg is never forgotten."""
    tapes = recorded({f"{LEGS}/0": [(0, leg("b1")), (9 * DAY_MS, leg("u1"))]})
    said = run(tapes, liability.flow)
    assert [("b1", "u1")] == live_trades(said.ledger)
    assert [START_MS] == [transaction.effective_at_ms for transaction in said.ledger.transactions()]
    assert ["waiting", "too_old", "paired"] == [one.state for one in told(said, topics.LEGS_WAITING) if one.leg_id == "b1"]


def test_a_late_leg_corrects_what_was_forgotten(tmp_path: Path) -> None:
    """Days after a second was paired and forgotten, a leg that fits better takes its partner from the ledger's memory."""
    early = [(0, leg("b1", 2_000)), (1, leg("u1", 2_001))]
    late = [*early, (5 * DAY_MS, leg("b9", 2_001, second=3)), (9 * DAY_MS, leg("u2", 2_000))]
    memory, ledger = Memory(0, 600_000), MemoryLedger()
    said = run(
        recorded({f"{LEGS}/0": late}),
        liability.flow,
        ledger=ledger,
        batch_size=1,
        recovery=tmp_path / "recovery",
        memory=memory,
    )
    assert [("b1", "u2")] == live_trades(said.ledger)
    assert ["USER_BUYS_USD", "REVERT_USER_BUYS_USD", "USER_BUYS_USD"] == [
        transaction.template for transaction in said.ledger.transactions()
    ]


def test_pending_then_success() -> None:
    """A pending leg waits, and pairs as soon as it succeeds."""
    words = [(0, leg("b1", status="PENDING")), (1, leg("u1", status="PENDING")), (5, leg("u1")), (9, leg("b1"))]
    said = run(recorded({f"{LEGS}/0": words}), liability.flow)
    assert [("b1", "u1")] == live_trades(said.ledger)
    states = [(one.leg_id, one.state) for one in told(said, topics.LEGS_WAITING)]
    assert [("b1", "pending"), ("u1", "pending"), ("u1", "waiting"), ("b1", "paired"), ("u1", "paired")] == states


def test_a_failed_leg_is_dropped_and_recorded() -> None:
    """A leg that failed never pairs, and is on record as refused."""
    words = [(0, leg("b1", status="PENDING")), (1, leg("u1")), (5, leg("b1", status="FAILURE"))]
    said = run(recorded({f"{LEGS}/1": words}), liability.flow)
    (refusal,) = told(said, topics.LEGS_REFUSED)
    assert isinstance(refusal, LegRefusal)
    assert ("b1", "failed", f"{LEGS}/1", 2) == (
        refusal.leg_id,
        refusal.reason,
        refusal.source,
        refusal.source_offset,
    )
    assert [] == said.ledger.transactions()
    assert "dropped" == [one.state for one in told(said, topics.LEGS_WAITING) if one.leg_id == "b1"][-1]


def test_a_contradiction_is_recorded() -> None:
    """Another amount under the same id changes nothing; that it came is on record."""
    words = [(0, leg("b1")), (1, leg("u1")), (5, leg("b1", 3_000))]
    said = run(recorded({f"{LEGS}/0": words}), liability.flow)
    assert 2_000 == settled(said.ledger)["STABLESATS_OMNIBUS", "USD"]
    assert [("b1", "conflict", 2)] == [
        (one.leg_id, one.reason, one.source_offset) for one in told(said, topics.LEGS_REFUSED)
    ]


def test_a_repeated_message_changes_nothing() -> None:
    """The same legs delivered three times, over partitions, are one trade."""
    tapes = {f"{LEGS}/{n}": [(n * 50, leg("b1")), (n * 50 + 1, leg("u1"))] for n in range(3)}
    said = run(recorded(tapes), liability.flow)
    assert 1 == len(said.ledger.transactions())


def test_a_waiting_leg_is_told_once_it_is_too_old() -> None:
    """An hour without its partner raises one alert, by event time, and the leg goes on waiting."""
    words = [(0, leg("b1")), (3 * 3_600_000, leg("b2", second=9)), (3 * 3_600_000 + 1, leg("b3", second=9))]
    said = run(recorded({f"{LEGS}/0": words}), liability.flow, batch_size=1)
    alerts = [one for one in told(said, topics.ALERTS) if "b1" in one.text]
    assert [("leg_too_old", START_MS + 3_600_000)] == [(one.subject, one.as_of) for one in alerts]


def test_bad_input_is_kept_and_the_rest_goes_on() -> None:
    """Garbage between two legs is quarantined with its coordinates, and the legs still pair."""
    kept: list[Any] = []
    words: list[tuple[int, Message | bytes]] = [(0, leg("b1")), (1, b"\xff"), (2, b'{"id":7}'), (3, leg("u1"))]
    said = run(recorded({f"{LEGS}/2": words}), liability.flow, quarantine=ListSink(kept))
    assert [("b1", "u1")] == live_trades(said.ledger)
    assert [(LEGS, 2, 1, b"\xff"), (LEGS, 2, 2, b'{"id":7}')] == [(r.topic, r.partition, r.offset, r.raw) for r in kept]
    quarantined = told(said, topics.quarantine(topics.DEALER_TRANSACTIONS))
    assert all(isinstance(one, Quarantined) for one in quarantined)
    assert [1, 2] == [one.offset for one in quarantined]


def test_trades_are_told_as_they_are_booked() -> None:
    """A trade and its reversal are on the topic, each naming its transaction, in the order of the books."""
    words = [(0, leg("b1", 2_000)), (1, leg("u1", 2_001)), (9, leg("u2", 2_000))]
    said = run(recorded({f"{LEGS}/0": words}), liability.flow)
    trades = told(said, topics.USER_TRADES)
    assert all(isinstance(trade, UserTrade) for trade in trades)
    assert [transaction.id for transaction in said.ledger.transactions()] == [trade.transaction_id for trade in trades]
    assert [None, trades[0].transaction_id, None] == [trade.reverses for trade in trades]


def test_the_newest_balance_said_is_that_of_the_ledger() -> None:
    """Whoever keeps the newest message per key of the balances topic has the books."""
    newest = {(one.account, one.currency): one for one in told(EXPECTED, topics.LEDGER_BALANCES)}
    booked = {(one.account, one.currency): one for one in EXPECTED.ledger.balances()}
    assert {key: (one.version, one.settled) for key, one in booked.items()} == {
        key: (one.version, one.settled) for key, one in newest.items()
    }


def test_waiting_legs_are_said_with_their_worth() -> None:
    """The newest word on a leg without a partner says that it waits, since when, and what it is worth."""
    (word,) = told(run(recorded({f"{LEGS}/0": [(0, leg("b1", 2_500))]}), liability.flow), topics.LEGS_WAITING)
    assert isinstance(word, WaitingLeg)
    assert ("b1", "waiting", 2_500, START_MS) == (word.leg_id, word.state, word.worth_cents, word.created_at)
