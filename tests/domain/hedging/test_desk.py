"""The desk: decides on fresh facts only, has one order and one transfer under way at most, and is never stuck."""

import pickle
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.hedging.desk import Desk
from domain.hedging.desks import Desks
from domain.hedging.limits import Limits
from domain.hedging.nearest import UNNAMED, nearest
from domain.hedging.policy import Book, Freshness, Policy
from domain.hedging.reference_funding import FundingPolicy
from domain.messages.decisions import Decision
from domain.messages.fields import Message
from domain.messages.hedging import CollateralTransfer, HedgeOrder
from domain.messages.ops import Alert
from domain.outbox.kinds import ORDER, TRANSFER
from tests.words import (
    START_MS,
    VENUE,
    correction,
    liability,
    order_report,
    pockets,
    position,
    record,
    tick,
    transfer_report,
)

POLICIES = ("guarded", "reference")
DOUBT_MS = Limits().position_doubt_ms
QUIET = FundingPolicy(minimum_transfer_amount_cents=10**12)


def book(
    rules: Literal["guarded", "reference"] = "guarded", *, quiet_funding: bool = True, record_all: bool = False
) -> Book:
    """A book whose funding asks for nothing, unless it is wanted."""
    funding = QUIET if quiet_funding else FundingPolicy()
    decides = Policy(rules=rules, funding=funding, order_contracts_max=1_000, order_interval_min_ms=2_000)
    return Book("main", VENUE, decides, record_all=record_all)


def tell(desk: Desk, at_ms: int, *words: Message) -> list[Any]:
    """Tell a desk these words at one instant."""
    return [*desk.apply(at_ms, [record(word, at_ms) for word in words])]


def facts(owed_cents: int, exposure_cents: int = 0, *, sequence: int = 1, at_ms: int = START_MS) -> list[Message]:
    """All four facts at once, with collateral enough."""
    return [
        liability(owed_cents, sequence, at_ms),
        position(exposure_cents, sequence, at_ms),
        pockets(sequence=sequence, at_ms=at_ms),
        tick(at_ms=at_ms),
    ]


def orders(answers: Iterable[Any]) -> list[HedgeOrder]:
    """The orders among answers."""
    return [answer for answer in answers if isinstance(answer, HedgeOrder)]


def transfers(answers: Iterable[Any]) -> list[CollateralTransfer]:
    """The transfers among answers."""
    return [answer for answer in answers if isinstance(answer, CollateralTransfer)]


def hedges(answers: Iterable[Any]) -> list[tuple[str, str]]:
    """Action and rule of the hedge decisions among answers."""
    return [(a.action, a.rule) for a in answers if isinstance(a, Decision) and a.kind == "hedge"]


CASES = [
    (0, 0, ("nothing", "flat"), None),
    (4_999, 0, ("nothing", "flat"), None),
    (1_000_000, 0, ("sell", "below_low_bound"), ("sell", -98)),
    (1_000_000, -960_000, ("nothing", "in_band"), None),
    (1_000_000, -1_100_000, ("buy", "above_high_bound"), ("buy", 10)),
    (1_000_000, 50_000, ("sell", "long"), ("sell", -103)),
    (0, -500_000, ("close", "below_minimum_liability"), ("close", 0)),
    (-1, 0, ("hold", "liability_negative"), None),
]


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize(("owed", "exposure", "said", "asked"), CASES)
def test_what_a_desk_does(
    name: Literal["guarded", "reference"],
    owed: int,
    exposure: int,
    said: tuple[str, str],
    asked: tuple[str, int] | None,
) -> None:
    """With everything fresh a desk decides by its policy, and asks for what it decided."""
    answers = tell(Desk(book(name)), START_MS, *facts(owed, exposure))
    assert [said] == hedges(answers)
    assert ([asked] if asked else []) == [(order.action, order.contracts) for order in orders(answers)]


def test_an_order_follows_from_its_decision() -> None:
    """An order carries its decision's id and instant, and the position that it was decided on."""
    answers = tell(Desk(book()), START_MS, *facts(1_000_000, sequence=7))
    decision, order = answers[0], orders(answers)[0]
    assert (decision.id, START_MS, 7, decision.amount) == (
        order.decision_id,
        order.as_of,
        order.based_on_sequence,
        order.contracts,
    )
    assert (1_000_000, "40000", None) == tuple(
        decision.inputs[name] for name in ("liability_cents", "price_usd", "order_in_flight")
    )


@pytest.mark.parametrize("name", POLICIES)
def test_funding_is_decided_too(name: Literal["guarded", "reference"]) -> None:
    """A short without collateral asks for a transfer, once."""
    desk = Desk(book(name, quiet_funding=False))
    words = [liability(10_000_000), position(-9_800_000), pockets(1_000_000, 0), tick()]
    first = tell(desk, START_MS, *words)
    assert ["deposit"] == [transfer.kind for transfer in transfers(first)]
    later = tell(desk, START_MS + 1, tick(at_ms=START_MS + 1))
    assert [] == transfers(later)


@pytest.mark.parametrize("missing", ["liability", "position", "balance", "price"])
def test_a_missing_fact_means_hold(missing: str) -> None:
    """The guarded desk holds until it has heard of everything, and names what is missing."""
    names = ("liability", "position", "balance", "price")
    words = [word for name, word in zip(names, facts(1_000_000), strict=True) if name != missing]
    assert [("hold", f"no_{missing}")] == hedges(tell(Desk(book()), START_MS, *words))


@pytest.mark.parametrize(
    ("stale", "age_ms"), [("liability", 20_001), ("position", 20_001), ("balance", 20_001), ("price", 30_001)]
)
def test_a_stale_fact_means_hold(stale: str, age_ms: int) -> None:
    """A fact past its limit stops all orders, by name, although the others are fresh."""
    desk, now_ms = Desk(book()), START_MS + age_ms
    old = dict(zip(("liability", "position", "balance", "price"), facts(1_000_000), strict=True))
    new = dict(zip(old, facts(1_000_000, sequence=2, at_ms=now_ms), strict=True))
    answers = tell(desk, now_ms, *(new | {stale: old[stale]}).values())
    assert [("hold", f"stale_{stale}")] == hedges(answers)
    assert [] == orders(answers)


def test_silence_makes_a_desk_hold() -> None:
    """When nothing is heard any more, the desk wakes as soon as the first fact is too old, and says so."""
    desk = Desk(book())
    tell(desk, START_MS, *facts(1_000_000, -980_000))
    assert START_MS + 20_001 == desk.wake_at_ms()
    assert [("hold", "stale_liability")] == hedges(desk.wake(START_MS + 20_001))


def test_joined_to_its_ledger_a_desk_knows_what_is_owed() -> None:
    """Of a ledger in the same flow silence says that nothing has changed since it spoke; all other facts grow old as ever."""
    desk, later_ms = Desk(book(), joined=True), START_MS + 19_000
    assert [("hold", "no_liability")] == hedges(tell(desk, START_MS, *facts(0)[1:]))
    assert [("sell", "below_low_bound")] == hedges(tell(desk, START_MS + 1, liability(1_000_000)))
    tell(desk, later_ms, *facts(0, -980_000, sequence=2, at_ms=later_ms)[1:])
    wakes = []
    while (at_ms := desk.wake_at_ms()) is not None:
        wakes += [(at_ms - later_ms, *hedge) for hedge in hedges(desk.wake(at_ms))]
    assert [(20_001, "hold", "stale_position")] == wakes


def test_a_desk_sleeps_when_time_changes_nothing() -> None:
    """However long the silence, a desk wakes a few times and then no more."""
    desk, wakes = Desk(book(quiet_funding=False)), 0
    tell(desk, START_MS, *facts(1_000_000))
    while (at_ms := desk.wake_at_ms()) is not None:
        desk.wake(at_ms)
        wakes += 1
    assert 0 < wakes <= 6


def test_a_price_from_the_future_does_not_stay_for_ever() -> None:
    """A producer whose clock is years ahead makes no price that outlives all others."""
    desk = Desk(book())
    tell(desk, START_MS, *facts(1_000_000, -980_000), tick("39000", START_MS + 10**11))
    answers = tell(desk, START_MS + 60_000, *facts(1_000_000, -980_000, sequence=2, at_ms=START_MS + 60_000)[:3])
    assert [("hold", "stale_price")] == hedges(answers)
    tell(desk, START_MS + 60_001, tick("41000", START_MS + 60_001))
    assert "41000" == desk.snapshot()[0]["price"]["price_usd"]


def test_repeats_are_counted_and_not_recorded() -> None:
    """A decision that says what the last one said is counted by the next one that does not."""
    desk = Desk(book())
    assert [("nothing", "flat")] == hedges(tell(desk, START_MS, *facts(0)))
    for ms in range(1, 4):
        assert [] == tell(desk, START_MS + ms, tick(at_ms=START_MS + ms))
    answers = tell(desk, START_MS + 4, liability(1_000_000, 2))
    assert [3] == [answer.repeats for answer in answers if isinstance(answer, Decision) and answer.kind == "hedge"]


def test_every_decision_is_recorded_when_wanted() -> None:
    """Under `record_all` a repeated decision is recorded like any other, under an id of its own."""
    desk = Desk(book(record_all=True))
    answers = tell(desk, START_MS, *facts(0)) + tell(desk, START_MS + 1, tick(at_ms=START_MS + 1))
    assert (4, 4) == (len(answers), len({answer.id for answer in answers}))


@pytest.mark.parametrize("state", sorted(ORDER.last_words))
def test_the_end_of_an_order_frees_the_desk(state: str) -> None:
    """Every way in which an order can end lets the next one go, once a position covers it."""
    desk = Desk(book())
    (first,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    assert [("hold", "order_in_flight")] == hedges(tell(desk, START_MS + 1, tick(at_ms=START_MS + 1)))
    tell(desk, START_MS + 2, order_report(first.client_order_id, state, 5))
    later_ms = START_MS + 5_000
    (second,) = orders(tell(desk, later_ms, *facts(1_000_000, sequence=6, at_ms=later_ms)))
    assert first.client_order_id != second.client_order_id


def test_a_position_that_does_not_cover_the_last_order_means_hold() -> None:
    """After a fill the desk waits for a position that knows of it, rather than hedging twice."""
    desk = Desk(book())
    (order,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    later_ms = START_MS + 5_000
    answers = tell(desk, later_ms, order_report(order.client_order_id, "filled", 9), *facts(1_000_000, at_ms=later_ms))
    assert [("hold", "position_behind_order")] == hedges(answers)
    assert [("nothing", "in_band")] == hedges(tell(desk, later_ms + 1, position(-980_000, 9, later_ms)))


def test_orders_keep_their_distance_and_the_desk_wakes_for_the_next() -> None:
    """An order that comes too soon waits for the rest of the interval, and then goes without being asked."""
    desk = Desk(book())
    (order,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    filled = order_report(order.client_order_id, "canceled", 2)
    answers = tell(desk, START_MS + 100, filled, *facts(1_000_000, sequence=2, at_ms=START_MS + 100))
    assert [("hold", "order_rate")] == hedges(answers)
    assert START_MS + 2_000 == desk.wake_at_ms()
    assert 1 == len(orders(desk.wake(START_MS + 2_000)))


def test_an_order_of_an_earlier_life_takes_the_slot() -> None:
    """An open order that this desk did not ask for, as after a restart, is waited for too."""
    desk = Desk(book())
    answers = tell(desk, START_MS, order_report("old", "open"), *facts(1_000_000))
    assert [("hold", "order_in_flight")] == hedges(answers)
    answers = tell(desk, START_MS + 1, order_report("old", "filled", 1))
    assert 1 == len(orders(answers))


OPEN_WORDS = ("reserved", "sent", "unknown", "open")


@given(
    end=st.sampled_from(sorted(ORDER.last_words - {"refused"})),
    late=st.lists(st.tuples(st.sampled_from(OPEN_WORDS), st.integers(0, 6), st.booleans()), max_size=5),
)
def test_what_has_ended_stays_ended(end: str, late: list[tuple[str, int, bool]]) -> None:
    """Words that come after the end of an order, about it or older than its end about another, say nothing new."""
    desk = Desk(book())
    (first,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    tell(desk, START_MS + 1, order_report(first.client_order_id, end, 6))
    for number, (state, sequence, is_own) in enumerate(late):
        name = first.client_order_id if is_own else "of an earlier life"
        tell(desk, START_MS + 2 + number, order_report(name, state, sequence if is_own else max(1, sequence)))
    answers = tell(desk, START_MS + 100, position(-980_000, 6, START_MS + 100))
    assert [("nothing", "in_band")] == hedges(answers)


def test_a_position_of_another_instrument_is_not_ours() -> None:
    """A flat position in something else at the same venue leaves the hedge as it is."""
    desks = Desks(BOOKS)
    tell(desks, START_MS, *facts(1_000_000, -980_000))
    flat = position(0, 9).model_copy(update={"instrument": "ETH-USD-SWAP"})
    assert [] == tell(desks, START_MS + 1, flat)


BOOKS = (
    Book("main", VENUE, Policy(funding=QUIET)),
    Book("euro", "other", Policy(funding=QUIET), ("EURO_OMNIBUS", "EUR"), "BTC-EUR-SWAP"),
)


def other_facts(owed: int) -> list[Message]:
    """All four facts of the other book at once."""
    return [
        liability(owed).model_copy(update={"account": "EURO_OMNIBUS", "currency": "EUR"}),
        position(venue="other").model_copy(update={"instrument": "BTC-EUR-SWAP"}),
        pockets().model_copy(update={"venue": "other"}),
        tick().model_copy(update={"instrument": "BTC-EUR-SWAP"}),
    ]


def test_each_book_has_a_desk_that_hears_of_nothing_else() -> None:
    """What is told of one venue, liability and instrument is decided at its desk alone, and named by its book."""
    desks = Desks(BOOKS)
    answers = tell(desks, START_MS, *facts(1_000_000), *other_facts(500_000))
    decided = [(a.book, a.venue, a.amount) for a in answers if isinstance(a, Decision) and a.action == "sell"]
    assert [("main", VENUE, -98), ("euro", "other", -49)] == decided
    report = order_report("o", "open").model_copy(update={"venue": "elsewhere"})
    assert [] == tell(
        desks, START_MS + 1, report, position(50_000, venue="elsewhere"), liability(5).model_copy(update={"account": "A"})
    )


@given(st.permutations([*facts(1_000_000), *other_facts(500_000)]), st.integers(0, 8))
def test_desks_do_not_disturb_each_other(words: list[Message], at: int) -> None:
    """Whatever comes first, and over a restart, each book decides as if it were alone."""
    together, alone = Desks(BOOKS), {book.name: Desks([book]) for book in BOOKS}
    said: list[Any] = []
    expected: dict[str, list[Any]] = {book.name: [] for book in BOOKS}
    for number, word in enumerate(words):
        if number == at:
            together = Desks(BOOKS, pickle.loads(pickle.dumps(together.snapshot())))  # noqa: S301 - as the engine does
        said += tell(together, START_MS + number, word)
        for name, desks in alone.items():
            expected[name] += tell(desks, START_MS + number, word)
    for book in BOOKS:
        assert expected[book.name] == [one for one in said if one.venue == book.venue]


def test_a_book_that_came_since_starts_with_nothing() -> None:
    """Gone on from a snapshot of one book, the other is there too, and its policy has a version of its own."""
    before = Desks(BOOKS[:1])
    tell(before, START_MS, *facts(1_000_000))
    after = Desks(BOOKS, before.snapshot())
    (sell,) = [a for a in tell(after, START_MS + 1, *other_facts(500_000)) if isinstance(a, Decision) and a.amount]
    assert ("euro", BOOKS[1].policy.version) == (sell.book, sell.policy_version)


def test_another_policy_has_another_version() -> None:
    """A band that is changed in settings shows in the version that decisions carry; the same policy has the same."""
    wider = Policy(hedge={"high_bound_ratio_shorting": "1.04"})  # type: ignore[arg-type]
    assert Policy().version == Policy().version != wider.version


# Anything in any order.

REPORTED = (*ORDER.stages, "refused")
MOVED = (*TRANSFER.stages, "refused")
CORRECTED = [("venue.positions", VENUE), ("venue.balances", VENUE), ("market.ticks", "BTC-USD-SWAP")]
CORRECTED += [("ledger.balances", "STABLESATS_OMNIBUS/USD"), ("venue.orders", "of an earlier life")]
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("owed", "position", "pockets", "price", "order", "order", "transfer", "correction", "silence")),
        st.integers(0, 9),
        st.integers(0, 3_000),
    ),
    max_size=40,
)


class World:
    """What a desk asked for, and words about any of it, old ones included."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.asked: dict[str, list[str]] = {"order": [], "transfer": []}
        self.ended: set[str] = set()

    def word(self, step: Step, number: int) -> Message | None:
        """The word that a step stands for."""
        what, choice, after_ms = step
        self.now_ms += after_ms
        match what:
            case "owed":
                return liability(choice * 300_000, number, self.now_ms)
            case "position":
                return position(-choice * 290_000, number, self.now_ms)
            case "pockets":
                return pockets(choice * 5_000_000, choice * 50_000_000, number, self.now_ms)
            case "price":
                return tick(str(38_000 + choice * 500), self.now_ms)
            case "order" | "transfer" | "correction":
                return self._report(what, choice, number)
            case _:
                return None

    def _report(self, what: str, choice: int, number: int) -> Message:
        if what == "correction":
            return correction(*CORRECTED[choice % len(CORRECTED)], self.now_ms)
        names = [*self.asked[what][-3:], "of an earlier life"]
        name, states = names[choice % len(names)], REPORTED if what == "order" else MOVED
        state = states[(choice * 7 + number) % len(states)]
        if state in ORDER.last_words | TRANSFER.last_words:
            self.ended.add(name)
        make = order_report if what == "order" else transfer_report
        return make(name, state, number, self.now_ms)

    def check(self, answers: list[Any]) -> list[Any]:
        """Nothing is asked for while something that was asked for before has not ended; returns the answers."""
        for answer in answers:
            if isinstance(answer, HedgeOrder):
                self._ask("order", answer.client_order_id)
            elif isinstance(answer, CollateralTransfer):
                self._ask("transfer", answer.client_transfer_id)
        return answers

    def _ask(self, what: str, name: str) -> None:
        assert all(before in self.ended for before in self.asked[what])
        assert name not in self.asked[what]
        self.asked[what].append(name)


def live(setup: Book, steps: Sequence[Step], restart_at: int = -1) -> list[Any]:
    """What a desk says to these steps; it is woken when it wants to be, and may be restarted from its snapshot."""
    desk, world, said = Desk(setup), World(), []
    for number, step in enumerate(steps, 1):
        if number == restart_at:
            desk = Desk(setup, pickle.loads(pickle.dumps(desk.snapshot())))  # noqa: S301 - as the engine does
        word = world.word(step, number)
        while (due_ms := desk.wake_at_ms()) is not None and due_ms <= world.now_ms:
            said += world.check([*desk.wake(due_ms)])
        if word is not None:
            said += world.check(tell(desk, world.now_ms, word))
    return said


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_one_order_and_one_transfer_at_most(name: Literal["guarded", "reference"], steps: list[Step]) -> None:
    """Whatever facts and reports come in whatever order, nothing is asked for until the last of its kind has ended."""
    live(book(name, quiet_funding=False), steps)


@given(steps=STEPS, restart_at=st.integers(1, 40))
def test_a_restarted_desk_goes_on_alike(steps: list[Step], restart_at: int) -> None:
    """A desk that is restarted from its snapshot says what one that was not would have said."""
    setup = book(quiet_funding=False)
    assert live(setup, steps) == live(setup, steps, restart_at)


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_a_decision_follows_from_its_record(name: Literal["guarded", "reference"], steps: list[Step]) -> None:
    """Taken again from what was recorded of it, each is what it was, or its rule is one of those that rest on more."""
    setup = book(name, quiet_funding=False)
    for decision in live(setup, steps):
        if isinstance(decision, Decision):
            why = nearest(decision, setup.policy).undecidable
            rests_on_more = decision.rule in UNNAMED or decision.rule.startswith(("no_", "stale_"))
            assert (why is None) or (rests_on_more and "decided again" not in why)


def alerts(answers: Iterable[Any]) -> list[str]:
    """The subjects of the alerts among answers."""
    return [answer.subject for answer in answers if isinstance(answer, Alert)]


def test_a_stale_fact_raises_an_alarm_once() -> None:
    """Each kind of decision that begins to hold on a stale fact says so in an alert, and its repeats do not."""
    desk = Desk(book())
    assert [] == alerts(tell(desk, START_MS, *facts(1_000_000, -980_000)))
    assert ["stale_fact", "stale_fact"] == alerts(desk.wake(START_MS + 1_000_000))
    assert [] == alerts(desk.wake(START_MS + 1_000_001))


def test_a_decision_tells_what_the_reference_would_have_done() -> None:
    """The alternative that the guarded policy refused is recorded with both rules; where they agree there is none."""
    desk = Desk(book())
    decision = tell(desk, START_MS, *facts(1_000_000))[0]
    assert [] == decision.refused
    later = tell(desk, START_MS + 1, liability(2_000_000, 2, START_MS + 1))
    refused = [answer.refused for answer in later if isinstance(answer, Decision) and answer.kind == "hedge"]
    assert 1 == len(refused)
    assert refused[0][0].startswith("reference: sell -196 contracts (below_low_bound)")
    assert refused[0][0].endswith("refused by order_in_flight")


def test_an_amount_that_cannot_be_meant_is_held() -> None:
    """A decision whose amount no message may carry is a Hold, not a crash."""
    desk = Desk(Book("main", VENUE, Policy(rules="reference")))
    answers = tell(desk, START_MS, *facts(10**37))
    assert [("hold", "amount_unusable")] == hedges(answers)


@given(steps=STEPS)
def test_every_request_has_its_decision(steps: list[Step]) -> None:
    """Whatever is asked for follows the decision that asks for it, and no two decisions share an id."""
    said = live(book(quiet_funding=False), steps)
    asks = HedgeOrder | CollateralTransfer
    requests = [(before, answer) for before, answer in pairwise(said) if isinstance(answer, asks)]
    assert all(decision.id == request.decision_id for decision, request in requests)
    ids = [answer.id for answer in said if isinstance(answer, Decision)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_nothing_leaves_a_desk_stuck(name: Literal["guarded", "reference"], steps: list[Step]) -> None:
    """Once all that is open has ended (and is told so twice) and facts are fresh and stay so, a gap in the hedge is closed."""
    desk, world = Desk(book(name)), World()
    for number, step in enumerate(steps, 1):
        word = world.word(step, number)
        if word is not None:
            world.check(tell(desk, world.now_ms, word))
    now_ms = world.now_ms + 60_000
    ends = [order_report(one, "filled", 90, now_ms) for one in [*world.asked["order"], "of an earlier life"]]
    answers = tell(desk, now_ms, *ends, *ends, *facts(5_000_000, sequence=100, at_ms=now_ms))
    later_ms = now_ms + DOUBT_MS
    answers += tell(desk, later_ms, *facts(5_000_000, sequence=101, at_ms=later_ms))
    assert ("sell", "below_low_bound") in hedges(answers)


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), min_size=1, max_size=8))
def test_nothing_stale_is_acted_on(ages: list[tuple[int, bool]]) -> None:
    """Whenever a desk asks for an order, all four facts are inside their limits at that instant."""
    desk, now_ms, limits = Desk(book()), START_MS + 100_000, Freshness()
    for number, (age_ms, is_position) in enumerate(ages, 1):
        word = position(0, number, now_ms - age_ms) if is_position else tick(at_ms=now_ms - age_ms)
        for order in orders(tell(desk, now_ms, liability(1_000_000, 1, now_ms), pockets(at_ms=now_ms), word)):
            kept = desk.snapshot()[0]
            assert kept["position"]["as_of"] + limits.position_age_max_ms >= order.as_of
            assert kept["price"]["as_of"] + limits.price_age_max_ms >= order.as_of


# What a good-looking line may do at most.

FIRST = facts(1_000_000, -980_000, at_ms=START_MS)


def said_of(answers: Iterable[Any], kind: str) -> list[tuple[str, str]]:
    """Action and rule of the decisions of one kind."""
    return [(a.action, a.rule) for a in answers if isinstance(a, Decision) and a.kind == kind]


def alarms(answers: Iterable[Any]) -> list[tuple[str, str]]:
    """Severity and subject of the alerts among answers."""
    return [(a.severity, a.subject) for a in answers if isinstance(a, Alert)]


def held_position(exposure_cents: int, sequence: int, after_ms: int) -> Message:
    """What the venue says of the position some time after the first facts."""
    return position(exposure_cents, sequence, START_MS + after_ms)


POSITIONS: list[tuple[str, list[Message], tuple[str, str]]] = [
    ("none of our orders explains it", [held_position(0, 2, 1_000)], ("hold", "position_unexplained")),
    ("its event is far ahead", [held_position(0, 999_999_999, 1_000)], ("hold", "position_unexplained")),
    (
        "the next honest word ends it",
        [held_position(0, 999_999_999, 1_000), held_position(-980_000, 2, 2_000)],
        ("nothing", "in_band"),
    ),
    ("it is said for ten seconds", [held_position(0, 2, 1_000), held_position(0, 3, 11_000)], ("sell", "below_low_bound")),
    ("it is said for less", [held_position(0, 2, 1_000), held_position(0, 3, 10_999)], ("hold", "position_unexplained")),
    (
        "it says something else each time",
        [held_position(0, 2, 1_000), held_position(10_000, 3, 6_000), held_position(0, 4, 12_000)],
        ("hold", "position_unexplained"),
    ),
    (
        "the venue goes back to an older event",
        [held_position(-980_000, 999_999_999, 1_000), held_position(-980_000, 2, 2_000)],
        ("hold", "position_unexplained"),
    ),
    (
        "the venue goes back and stays there",
        [held_position(-980_000, 999_999_999, 1_000), held_position(-970_000, 2, 2_000), held_position(-970_000, 3, 12_000)],
        ("nothing", "in_band"),
    ),
    ("an older word is read again", [held_position(-980_000, 2, 1_000), held_position(0, 1, 500)], ("nothing", "in_band")),
]


@pytest.mark.parametrize(("words", "last"), [row[1:] for row in POSITIONS], ids=[row[0] for row in POSITIONS])
def test_a_position_that_no_order_explains_is_not_acted_on(words: list[Message], last: tuple[str, str]) -> None:
    """Nothing is decided on it until an honest word comes or it has been said for long enough; somebody is told."""
    desk = Desk(book(record_all=True))
    tell(desk, START_MS, *FIRST)
    said: list[tuple[str, str]] = []
    for number, word in enumerate(words, 2):
        at_ms = max(getattr(word, "as_of"), START_MS + 1_000)  # noqa: B009 - every word of the table has a time
        fresh = [liability(1_000_000, number, at_ms), pockets(sequence=number, at_ms=at_ms), tick(at_ms=at_ms)]
        said = said_of(tell(desk, at_ms, word, *fresh), "hedge")
    assert last == said[-1]


def test_what_orders_explain_is_believed_at_once() -> None:
    """Part of an order, all of it, and the end of a close: each is a position that was to come."""
    desk = Desk(book())
    (order,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    for after_ms, filled in ((1_000, -40), (2_000, order.contracts)):
        said = tell(desk, START_MS + after_ms, held_position(filled * 10_000, after_ms, after_ms))
        assert [("hold", "order_in_flight")][: len(hedges(said))] == hedges(said)
    done = order_report(order.client_order_id, "filled", 2_000, START_MS + 2_500)
    assert [("nothing", "in_band")] == hedges(tell(desk, START_MS + 2_500, done))
    flat = facts(0, order.contracts * 10_000, sequence=2_001, at_ms=START_MS + 5_000)
    (close,) = orders(tell(desk, START_MS + 5_000, *flat))
    done = order_report(close.client_order_id, "filled", 2_002, START_MS + 6_000)
    assert [("nothing", "flat")] == hedges(tell(desk, START_MS + 6_000, done, held_position(0, 2_002, 6_000)))


PRICES: list[tuple[str, list[str], str | None, str, str]] = [
    ("near the mark", ["40000"], "41000", "42000", "in_band"),
    ("far from the mark, however usual", ["40000", "40000", "40000"], "39000", "41500", "price_off_mark"),
    ("a jump to where the mark is", ["40000", "40000", "40000"], "30000", "30100", "in_band"),
    ("near the usual one", ["40000", "40100", "39900"], None, "43900", "in_band"),
    ("far from the usual one", ["40000", "40100", "39900"], None, "0.01", "price_jump"),
    ("one odd price before it", ["40000", "40100", "39900", "0.01"], None, "40050", "in_band"),
    ("too few to know what is usual", ["40000", "40100"], None, "20000", "in_band"),
]


@pytest.mark.parametrize(("before", "mark", "price", "rule"), [row[1:] for row in PRICES], ids=[row[0] for row in PRICES])
def test_a_price_that_nobody_can_believe_moves_nothing(before: list[str], mark: str | None, price: str, rule: str) -> None:
    """A price far from the venue's mark, or without one from the usual price, holds the funding, and somebody is told."""
    funding = FundingPolicy(low_bound_ratio_leverage=Decimal("0.01"), high_bound_ratio_leverage=Decimal(100))
    desk = Desk(Book("main", VENUE, Policy(funding=funding), record_all=True))
    marked = pockets(2_000_000, 100_000_000).model_copy(update={"mark_price_usd": mark and Decimal(mark)})
    tell(desk, START_MS, liability(1_000_000), position(-980_000), marked)
    for number, usual in enumerate(before):
        tell(desk, START_MS + 1_000 * number, tick(usual, START_MS + 1_000 * number))
    answers = tell(desk, START_MS + 10_000, tick(price, START_MS + 10_000))
    assert [rule] == [name for _, name in said_of(answers, "funding")]
    assert [("critical", rule)] * (rule != "in_band") == alarms(answers)


def test_what_was_refused_is_tried_again_after_pauses_that_double() -> None:
    """After n refusals in a row the next order waits 2^(n-1) seconds, a minute at most; a fill ends that."""
    desk, now_ms, waits = Desk(book()), START_MS, []
    for number in range(1, 10):
        said = tell(desk, now_ms, *facts(1_000_000, sequence=number, at_ms=now_ms))
        asked_ms = now_ms
        while not orders(said):
            now_ms = desk.wake_at_ms() or 0
            fresh = facts(1_000_000, sequence=number, at_ms=now_ms)
            said = [*said, *tell(desk, now_ms, *fresh), *desk.wake(now_ms)]
        waits.append(now_ms - asked_ms)
        tell(desk, now_ms, order_report(orders(said)[0].client_order_id, "rejected", number, now_ms))
    assert [0, 2_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] == waits


def test_a_day_has_its_limit() -> None:
    """What a day may move on chain is asked for in parts, then nothing is until midnight; what failed does not count."""
    limits = Limits(transfer_sats_max=600_000_000, day_sats_max=1_000_000_000)
    policy = Policy(
        limits=limits, funding=FundingPolicy(minimum_funding_balance_btc=Decimal(100)), order_interval_min_ms=1_000
    )
    desk, now_ms, asked = Desk(Book("main", VENUE, policy)), START_MS, []
    for number, state in enumerate(("failed", "done", "done", "done"), 1):
        words = [liability(1_000_000, number, now_ms), position(-980_000, number, now_ms), tick(at_ms=now_ms)]
        said = tell(desk, now_ms, *words, pockets(8_400_000, 0, number, now_ms))
        asked.append(transfers(said)[0].amount_sats if transfers(said) else 0)
        if transfers(said):
            tell(desk, now_ms, transfer_report(transfers(said)[0].client_transfer_id, state, number, now_ms))
        now_ms += 2_000
    assert [600_000_000, 600_000_000, 400_000_000, 0] == asked
    assert [("critical", "limit_day_sats_max")] == alarms(said)
    now_ms = (now_ms // 86_400_000 + 1) * 86_400_000
    said = tell(
        desk,
        now_ms,
        *facts(1_000_000, -980_000, sequence=9, at_ms=now_ms),
        pockets(8_400_000, 0, 10, now_ms),
    )
    assert [600_000_000] == [one.amount_sats for one in transfers(said)]
