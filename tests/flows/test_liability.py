"""The liability flow: every leg ends in the books once, whatever the cuts, the workers, the order and the crashes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.demo.users import Crowd, Users
from connectors.recorded import Recorded
from domain import topics
from domain.ledger.memory import MemoryLedger
from domain.messages.dealer import DealerTransaction
from domain.messages.fields import Message
from domain.messages.legs import LegRefusal, WaitingLeg
from domain.messages.ops import Quarantined
from domain.messages.user import UserTrade
from domain.messages.venue import CashFlow, Fill
from domain.pairing.booked import BookedLegs
from domain.topics import Topic
from operators.recall import Memory
from sinks.memory import ListSink
from tests.flows.runs import EVERY_LEG, FEW_BITS, Joints, Run, liability_alone, recorded, run, said_on
from tests.words import START_MS, cash_flow, fill, leg, live_trades, order_report, pair, settled

LEGS = "dealer.transactions"
DAY_MS = 86_400_000


def told(said: Run, topic: Topic[Any]) -> list[Any]:
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
    tapes["venue.orders"] = [(499, order_report("o", "sent")), (700, order_report("late", "refused"))]
    tapes["venue.orders"] += [(15_000, order_report("late", "filled")), (15_000, order_report("later", "filled"))]
    tapes["venue.fills"] = [(500, fill(-3, 1)), (900, fill(2, 2)), (901, fill(-7, 3, order="late"))]
    tapes["venue.fills"] += [(902, fill(-1, 4, order="nobody's")), (14_000, fill(1, 5, order="later"))]
    tapes["venue.cashflows"] = [(501, cash_flow("fee", -9)), (950, cash_flow("deposit", 5_000, "c2"))]
    return recorded({name: sorted(said, key=lambda one: one[0]) for name, said in tapes.items()})


def keeping(kept: list[Any]) -> Callable[[Joints], Joints]:
    """Hand what cannot be read to a list."""
    return lambda joints: joints._replace(edges=replace(joints.edges, quarantine=ListSink(kept)))


def noticing(kept: list[Any]) -> Callable[[Joints], Joints]:
    """Hand what people should look at to a list."""
    return lambda joints: joints._replace(edges=replace(joints.edges, notices=ListSink(kept)))


CROWD = crowd()
EXPECTED = run(CROWD, liability_alone)


def test_what_people_should_look_at_is_kept_beside() -> None:
    """Every alert and every refused leg, as on its topic, and nothing else."""
    kept: list[Any] = []
    said = run(CROWD, liability_alone, change=noticing(kept))
    on_topics = [one for one in said.outgoing if one.topic in (topics.ALERTS.name, topics.LEGS_REFUSED.name)]
    assert on_topics
    assert sorted(on_topics) == sorted(kept)


def test_the_crowd_is_worth_its_name() -> None:
    """The workload has trades, reversals, refusals, quarantined messages, fills and cash flows."""
    templates = {transaction.template for transaction in EXPECTED.ledger.transactions()}
    moved = [settled(EXPECTED.ledger)[f"{code}/simulated", "USD"] for code in ("POSITION", "POSITION_SUSPENSE")]
    assert [70_000, 10_000] == moved
    assert ["f3", "f4"] == sorted(a.text.split()[3] for a in told(EXPECTED, topics.ALERTS) if a.subject == "fill_of_nobody")
    assert {"USER_BUYS_USD", "USER_SELLS_USD", "DECREASE_EXCHANGE_POSITION", "TRADING_FEE", "DEPOSIT"} <= templates
    assert any(template.startswith("REVERT_") for template in templates)
    assert len(live_trades(EXPECTED.ledger)) > 40
    assert {"failed"} <= {refusal.reason for refusal in told(EXPECTED, topics.LEGS_REFUSED)}
    assert told(EXPECTED, topics.quarantine("dealer.transactions"))


def test_a_fill_of_a_venue_that_nobody_named_is_told() -> None:
    """The ledger rejects it, the verdict goes out with the account's whole name, and the others are booked."""
    stranger = fill(-3, 1).model_copy(update={"venue": "v" * 64})
    tape = recorded({"venue.orders": [(0, order_report("o", "sent"))], "venue.fills": [(0, stranger), (1, fill(-2, 2))]})
    said = run(tape, liability_alone)
    verdicts = [(verdict.reason, verdict.account) for verdict in told(said, topics.LEDGER_VERDICTS)]
    assert [("unknown_account", f"POSITION_SUSPENSE/{'v' * 64}")] == verdicts
    assert 20_000 == settled(said.ledger)["POSITION/simulated", "USD"]


@pytest.mark.parametrize("batch_size", [1, 3, 100])
@pytest.mark.parametrize("memory", [None, Memory(0, 0)], ids=["remembered", "asked for"])
def test_a_leg_told_again_in_another_second_is_not_booked_again(memory: Memory | None, batch_size: int) -> None:
    """Both legs again with other times are two conflicts that are shouted about, whether the book or only the ledger knows."""
    again = [word.model_copy(update={"created_at": START_MS + 1_000}) for word in pair("1")]
    words = [*pair("1"), *again, *pair("2", second=3)]
    tape = recorded({LEGS: [(number * 2_000, word) for number, word in enumerate(words)]})
    said = run(tape, liability_alone, batch_size=batch_size, memory=memory)
    assert [("b1", "u1"), ("b2", "u2")] == live_trades(said.ledger)
    assert [("b1", "conflict"), ("u1", "conflict")] == [(one.leg_id, one.reason) for one in told(said, topics.LEGS_REFUSED)]
    assert [("critical", "leg_conflict")] * 2 == [(one.severity, one.subject) for one in told(said, topics.ALERTS)]


@pytest.mark.parametrize("batch_size", [1, 100])
def test_a_pending_leg_that_settles_with_a_new_time_is_one_leg(batch_size: int) -> None:
    """It pairs where its success belongs, once, and nothing waits at the end."""
    pending = [word.model_copy(update={"status": "PENDING", "created_at": START_MS - 5_000}) for word in pair("1")]
    tape = recorded({LEGS: list(enumerate([*pending, *pair("1"), *pending]))})
    said = run(tape, liability_alone, batch_size=batch_size)
    assert [("b1", "u1")] == live_trades(said.ledger)
    assert {"paired"} == {{one.leg_id: one.state for one in told(said, topics.LEGS_WAITING)}[name] for name in ("b1", "u1")}
    assert [] == told(said, topics.LEGS_REFUSED)


@pytest.mark.parametrize("batch_size", [1, 100])
def test_the_word_of_an_order_takes_its_fill_out_of_suspense(batch_size: int) -> None:
    """Told of as nobody's after ten seconds, and moved to the position all the same when its order is spoken of."""
    words = {"venue.fills": [(0, fill(-3))], "market.ticks": []}
    alone = run(
        recorded(words | {"venue.orders": [(20_000, order_report("other", "sent"))]}), liability_alone, batch_size=batch_size
    )
    (alert,) = told(alone, topics.ALERTS)
    assert ("critical", "fill_of_nobody", START_MS + 10_000) == (alert.severity, alert.subject, alert.as_of)
    assert {"POSITION_SUSPENSE/simulated", "EXCHANGE_POSITION_OMNIBUS"} == {account for account, _ in settled(alone.ledger)}
    late = run(
        recorded(words | {"venue.orders": [(20_000, order_report("o", "filled"))]}), liability_alone, batch_size=batch_size
    )
    assert {"POSITION/simulated", "EXCHANGE_POSITION_OMNIBUS"} == {account for account, _ in settled(late.ledger)}


TOLD_AGAIN: list[tuple[str, Fill | CashFlow, dict[str, Any], bool]] = [
    ("a fill as it was", fill(-5), {}, False),
    ("a fill with another time", fill(-5), {"as_of": START_MS + 417}, True),
    ("a fill with another sequence", fill(-5), {"sequence": 9}, True),
    ("a fill of the other side", fill(-5), {"contracts": 5}, True),
    ("a fill at another price", fill(-5), {"price_usd": Decimal(1)}, True),
    ("a fill of another order", fill(-5), {"client_order_id": "other"}, True),
    ("a fill whose price has more zeros", fill(-5), {"price_usd": fill(-5).price_usd * Decimal("1.00")}, False),
    ("a line of cash as it was", cash_flow("fee", -5), {}, False),
    ("a line of cash with another time", cash_flow("fee", -5), {"as_of": START_MS + 417}, True),
    ("a line of cash of another kind", cash_flow("fee", -5), {"kind": "realised_pnl"}, True),
    ("a line of cash with another sequence", cash_flow("fee", -5), {"sequence": 9}, True),
    ("a line of cash of another amount", cash_flow("fee", -5), {"amount_sats": -6}, True),
]


@pytest.mark.parametrize("orders", [(), ("o",), ("o", "other"), ("other",)], ids=str)
@pytest.mark.parametrize("batch_size", [1, 100])
@pytest.mark.parametrize(("word", "otherwise", "is_conflict"), [r[1:] for r in TOLD_AGAIN], ids=[r[0] for r in TOLD_AGAIN])
def test_what_a_venue_tells_again_is_booked_once(
    word: Fill | CashFlow, otherwise: dict[str, Any], is_conflict: bool, batch_size: int, orders: tuple[str, ...]
) -> None:
    """The first word on a fill or a line of cash is booked; the same again is silent, another is a critical alert, whichever
    orders are known."""
    topic = "venue.fills" if isinstance(word, Fill) else "venue.cashflows"
    known = {"venue.orders": [(0, order_report(name, "sent")) for name in orders]}
    tape = recorded({topic: [(0, word), (900, word.model_copy(update=otherwise))], **known})
    said = run(tape, liability_alone, batch_size=batch_size)
    once = run(recorded({topic: [(0, word)], **known}), liability_alone)
    assert settled(once.ledger) == settled(said.ledger)
    assert ["conflict"] * is_conflict == [verdict.outcome for verdict in told(said, topics.LEDGER_VERDICTS)]
    assert [("critical", "conflict")] * is_conflict == [(a.severity, a.subject) for a in told(said, topics.ALERTS)]


def test_a_trade_in_a_closed_period_is_shouted_about() -> None:
    """It is not booked, and a critical alert names its legs and the way back."""
    said = run(
        recorded({"dealer.transactions": enumerate(pair("1"))}), liability_alone, books=MemoryLedger(closed_until_ms=2**45)
    )
    (alert,) = told(said, topics.ALERTS)
    assert ("critical", "not_booked") == (alert.severity, alert.subject)
    (verdict,) = told(said, topics.LEDGER_VERDICTS)
    for named in ("b1", "u1", "closed_period", f"ballast ledger rebook {verdict.transaction_id}"):
        assert named in alert.text


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
@pytest.mark.parametrize("workers", [1, 2, 3])
def test_books_do_not_depend_on_cuts_or_workers(batch_size: int, workers: int) -> None:
    """The same transactions, entries and balances, row by row, for every batch size and number of workers."""
    assert EXPECTED.books == run(CROWD, liability_alone, batch_size=batch_size, workers=workers).books


@pytest.mark.parametrize("crash_at", [1, 5, 20, 30])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_crash_loses_nothing_and_books_nothing_twice(crash_at: int, batch_size: int, tmp_path: Path) -> None:
    """Gone on from the recovery store, over the same ledger, the books are row by row those of an undisturbed run."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability_alone, books=ledger, batch_size=batch_size, crash_at=crash_at, recovery=store)
    after = run(CROWD, liability_alone, books=ledger, batch_size=batch_size, recovery=store, memory=EVERY_LEG)
    assert EXPECTED.books == after.books


def test_crashes_in_a_row(tmp_path: Path) -> None:
    """A run that crashes again and again ends with the same books."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    for crash_at in (3, 6, 9, 14, 21, 28):
        run(CROWD, liability_alone, books=ledger, batch_size=2, crash_at=crash_at, recovery=store, memory=EVERY_LEG)
    assert EXPECTED.books == run(CROWD, liability_alone, books=ledger, recovery=store, memory=EVERY_LEG).books


@pytest.mark.parametrize("crash_at", [1, 10, 30])
def test_a_lost_recovery_store_is_made_up_for(crash_at: int, tmp_path: Path) -> None:
    """Without its recovery store a run reads everything again, and the ledger's books stand as they are."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability_alone, books=ledger, batch_size=3, crash_at=crash_at, recovery=store)
    rmtree(store)
    after = run(CROWD, liability_alone, books=ledger, recovery=store, memory=EVERY_LEG)
    assert live_trades(EXPECTED.ledger) == live_trades(after.ledger)
    assert settled(EXPECTED.ledger) == settled(after.ledger)
    assert ([], []) == (after.ledger.conflicts, after.ledger.rejected)


@pytest.mark.parametrize("crash_at", [2, 10, 25])
def test_nobody_downstream_misses_a_trade(crash_at: int, tmp_path: Path) -> None:
    """What was booked and never told, because the run crashed in between, is told by the next one."""
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(CROWD, liability_alone, books=ledger, batch_size=1, crash_at=crash_at)
    after = run(CROWD, liability_alone, books=ledger, recovery=store, memory=EVERY_LEG)
    wanted = {trade.transaction_id for trade in told(EXPECTED, topics.USER_TRADES)}
    assert wanted == {trade.transaction_id for trade in told(after, topics.USER_TRADES)}


def test_two_runs_are_byte_equal() -> None:
    """The same tapes give the same messages, byte for byte, in the same order."""
    again = run(CROWD, liability_alone)
    for topic in topics.ALL:
        assert said_on(EXPECTED, topic) == said_on(again, topic)


def test_everything_read_is_accounted_for() -> None:
    """Every message is exactly one of: part of a live trade, waiting, refused or quarantined."""
    read = sum(len(tape) for (name, _), tape in CROWD.items() if name == LEGS)
    bad = len(told(EXPECTED, topics.quarantine("dealer.transactions")))
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
    one = run(dealt(legs, [(0, 0)] * len(legs)), liability_alone)
    other = run(dealt([legs[place] for place in order], places), liability_alone, batch_size=batch_size)
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
    run(dealt([legs[place] for place in order], places), liability_alone, books=ledger, batch_size=1, crash_at=crash_at)
    after = run(dealt(legs, [(0, 0)] * len(legs)), liability_alone, books=ledger, memory=EVERY_LEG)
    expected = run(dealt(legs, [(0, 0)] * len(legs)), liability_alone)
    assert live_trades(expected.ledger) == live_trades(after.ledger)
    assert settled(expected.ledger) == settled(after.ledger)
    assert [] == after.ledger.conflicts


class AlwaysAsked(BookedLegs):
    """Knows nothing for certain, so the ledger is asked for every leg."""

    def complete(self) -> None:
        """It is not."""


@settings(max_examples=25)
@given(SHUFFLED, st.integers(0, 6), st.sampled_from((0, 3_000, 600_000)))
def test_what_need_not_be_asked_changes_nothing(
    dealing: tuple[list[DealerTransaction], list[int], list[tuple[int, int]]], crash_at: int, span_ms: int
) -> None:
    """A run that asks only for what the ledger may know ends with the books of one that always asks, row by row."""
    legs, order, places = dealing
    ends = []
    for booked in (BookedLegs(FEW_BITS), AlwaysAsked(FEW_BITS)):
        ledger = MemoryLedger()
        run(dealt([legs[place] for place in order], places), liability_alone, books=ledger, batch_size=1, crash_at=crash_at)
        tapes, memory = dealt(legs, [(0, 0)] * len(legs)), Memory(START_MS + crash_at * 2_000, span_ms)
        after = run(tapes, liability_alone, books=ledger, batch_size=1, memory=memory, booked=booked)
        ends.append(
            (after.books, told(after, topics.LEGS_REFUSED), {one.transaction_id for one in told(after, topics.USER_TRADES)})
        )
    assert ends[0] == ends[1]


@settings(max_examples=15)
@given(st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=12))
def test_clocks_of_producers_do_not_matter(times: list[int]) -> None:
    """A partition whose timestamps go back and forth gives the same books for every batch size."""
    legs = [one for number in range((len(times) + 1) // 2) for one in pair(str(number), 2_000 + number)]
    tapes = recorded({f"{LEGS}/0": [(10_000 + at_ms, one) for at_ms, one in zip(times, legs, strict=False)]})
    expected = run(tapes, liability_alone, batch_size=1000).books
    assert [expected, expected] == [run(tapes, liability_alone, batch_size=size).books for size in (1, 3)]


# What becomes of single legs.


def test_a_leg_that_comes_days_later_still_pairs() -> None:
    """A waiting leg is never forgotten."""
    tapes = recorded({f"{LEGS}/0": [(0, leg("b1")), (9 * DAY_MS, leg("u1"))]})
    said = run(tapes, liability_alone)
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
        liability_alone,
        books=ledger,
        batch_size=1,
        recovery=tmp_path / "recovery",
        memory=memory,
    )
    assert [("b1", "u2")] == live_trades(said.ledger)
    assert ["USER_BUYS_USD", "REVERT_USER_BUYS_USD", "USER_BUYS_USD"] == [
        transaction.template for transaction in said.ledger.transactions()
    ]


def test_a_leg_after_a_restart_corrects_what_was_booked_before_it(tmp_path: Path) -> None:
    """What an earlier run has paired is in no snapshot, and comes from the ledger when a leg fits better."""
    early = [(0, leg("b1", 2_000)), (1, leg("u1", 2_001))]
    tapes = recorded({f"{LEGS}/0": [*early, (9_000, leg("b9", second=3)), (20_000, leg("u2", 2_000))]})
    ledger, store = MemoryLedger(), tmp_path / "recovery"
    run(tapes, liability_alone, books=ledger, batch_size=1, crash_at=3, recovery=store)
    assert [("b1", "u1")] == live_trades(ledger)
    run(tapes, liability_alone, books=ledger, recovery=store, memory=Memory(START_MS + 15_000, 600_000))
    assert [("b1", "u2")] == live_trades(ledger)


@pytest.mark.parametrize("again", ["b1", "u1", "b2", "u2"])
def test_a_leg_told_again_after_corrections_changes_nothing(again: str, tmp_path: Path) -> None:
    """Days after its pairs were corrected and forgotten, another word on a leg is refused, and no other pair is taken apart."""
    legs = {"b1": 2_005, "u1": 2_004, "b2": 2_004, "u2": 2_006}
    words = [*enumerate(leg(name, cents) for name, cents in legs.items())]
    words += [(day * DAY_MS, leg(f"b{day}", 9_000, second=day)) for day in (5, 6, 7)]
    words += [(9 * DAY_MS, leg(again, legs[again], second=9 * 86_400))]
    said = run(
        recorded({f"{LEGS}/0": words}),
        liability_alone,
        batch_size=1,
        recovery=tmp_path / "recovery",
        memory=Memory(0, 600_000),
    )
    assert [("b1", "u2"), ("b2", "u1")] == sorted(live_trades(said.ledger))
    assert [(again, "conflict")] == [(one.leg_id, one.reason) for one in told(said, topics.LEGS_REFUSED)]


def test_pending_then_success() -> None:
    """A pending leg waits, and pairs as soon as it succeeds."""
    words = [(0, leg("b1", status="PENDING")), (1, leg("u1", status="PENDING")), (5, leg("u1")), (9, leg("b1"))]
    said = run(recorded({f"{LEGS}/0": words}), liability_alone)
    assert [("b1", "u1")] == live_trades(said.ledger)
    states = [(one.leg_id, one.state) for one in told(said, topics.LEGS_WAITING)]
    assert [("b1", "pending"), ("u1", "pending"), ("u1", "waiting"), ("b1", "paired"), ("u1", "paired")] == states


def test_a_failed_leg_is_dropped_and_recorded() -> None:
    """A leg that failed never pairs, and is on record as refused."""
    words = [(0, leg("b1", status="PENDING")), (1, leg("u1")), (5, leg("b1", status="FAILURE"))]
    said = run(recorded({f"{LEGS}/1": words}), liability_alone)
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
    said = run(recorded({f"{LEGS}/0": words}), liability_alone)
    assert 2_000 == settled(said.ledger)["STABLESATS_OMNIBUS", "USD"]
    assert [("b1", "conflict", 2)] == [
        (one.leg_id, one.reason, one.source_offset) for one in told(said, topics.LEGS_REFUSED)
    ]


def test_a_repeated_message_changes_nothing() -> None:
    """The same legs delivered three times, over partitions, are one trade."""
    tapes = {f"{LEGS}/{n}": [(n * 50, leg("b1")), (n * 50 + 1, leg("u1"))] for n in range(3)}
    said = run(recorded(tapes), liability_alone)
    assert 1 == len(said.ledger.transactions())


def test_a_waiting_leg_is_told_once_it_is_too_old() -> None:
    """An hour without its partner raises one alert, by event time, and the leg goes on waiting."""
    words = [(0, leg("b1")), (3 * 3_600_000, leg("b2", second=9)), (3 * 3_600_000 + 1, leg("b3", second=9))]
    said = run(recorded({f"{LEGS}/0": words}), liability_alone, batch_size=1)
    alerts = [one for one in told(said, topics.ALERTS) if "b1" in one.text]
    assert [("leg_too_old", START_MS + 3_600_000)] == [(one.subject, one.as_of) for one in alerts]


def test_bad_input_is_kept_and_the_rest_goes_on() -> None:
    """Garbage between two legs is quarantined with its coordinates, and the legs still pair."""
    kept: list[Any] = []
    words: list[tuple[int, Message | bytes]] = [(0, leg("b1")), (1, b"\xff"), (2, b'{"id":7}'), (3, leg("u1"))]
    said = run(recorded({f"{LEGS}/2": words}), liability_alone, change=keeping(kept))
    assert [("b1", "u1")] == live_trades(said.ledger)
    assert [(LEGS, 2, 1, b"\xff"), (LEGS, 2, 2, b'{"id":7}')] == [(r.topic, r.partition, r.offset, r.raw) for r in kept]
    quarantined = told(said, topics.quarantine("dealer.transactions"))
    assert all(isinstance(one, Quarantined) for one in quarantined)
    assert [1, 2] == [one.offset for one in quarantined]


def test_trades_are_told_as_they_are_booked() -> None:
    """A trade and its reversal are on the topic, each naming its transaction, in the order of the books."""
    words = [(0, leg("b1", 2_000)), (1, leg("u1", 2_001)), (9, leg("u2", 2_000))]
    said = run(recorded({f"{LEGS}/0": words}), liability_alone)
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
    (word,) = told(run(recorded({f"{LEGS}/0": [(0, leg("b1", 2_500))]}), liability_alone), topics.LEGS_WAITING)
    assert isinstance(word, WaitingLeg)
    assert ("b1", "waiting", 2_500, START_MS) == (word.leg_id, word.state, word.worth_cents, word.created_at)
