"""The desk: decides on fresh facts only, has one order and one transfer under way at most, and is never stuck."""

import pickle
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.desk import FINAL, Desk, DeskPolicy
from domain.facts import Freshness
from domain.funding import FundingPolicy
from domain.guarded import GuardedPolicy
from domain.messages import Alert, CollateralTransfer, Decision, HedgeOrder, Message
from tests.flows.streams import (
    START_MS,
    VENUE,
    liability,
    order_report,
    pockets,
    position,
    record,
    tick,
    transfer_report,
)

POLICIES = ("guarded", "reference")
QUIET = FundingPolicy(minimum_transfer_amount_cents=10**12)


def policy(
    name: Literal["guarded", "reference"] = "guarded", *, quiet_funding: bool = True, record_all: bool = False
) -> DeskPolicy:
    """A policy whose funding asks for nothing, unless it is wanted."""
    limits = GuardedPolicy(funding=QUIET) if quiet_funding else GuardedPolicy()
    return DeskPolicy(VENUE, name, limits, record_all=record_all)


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
    answers = tell(Desk(policy(name)), START_MS, *facts(owed, exposure))
    assert [said] == hedges(answers)
    assert ([asked] if asked else []) == [(order.action, order.contracts) for order in orders(answers)]


def test_an_order_follows_from_its_decision() -> None:
    """An order carries its decision's id and instant, and the position that it was decided on."""
    answers = tell(Desk(policy()), START_MS, *facts(1_000_000, sequence=7))
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
    desk = Desk(policy(name, quiet_funding=False))
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
    assert [("hold", f"no_{missing}")] == hedges(tell(Desk(policy()), START_MS, *words))


@pytest.mark.parametrize(
    ("stale", "age_ms"), [("liability", 20_001), ("position", 20_001), ("balance", 20_001), ("price", 30_001)]
)
def test_a_stale_fact_means_hold(stale: str, age_ms: int) -> None:
    """A fact past its limit stops all orders, by name, although the others are fresh."""
    desk, now_ms = Desk(policy()), START_MS + age_ms
    old = dict(zip(("liability", "position", "balance", "price"), facts(1_000_000), strict=True))
    new = dict(zip(old, facts(1_000_000, sequence=2, at_ms=now_ms), strict=True))
    answers = tell(desk, now_ms, *(new | {stale: old[stale]}).values())
    assert [("hold", f"stale_{stale}")] == hedges(answers)
    assert [] == orders(answers)


def test_silence_makes_a_desk_hold() -> None:
    """When nothing is heard any more, the desk wakes as soon as the first fact is too old, and says so."""
    desk = Desk(policy())
    tell(desk, START_MS, *facts(1_000_000, -980_000))
    assert START_MS + 20_001 == desk.wake_at_ms()
    assert [("hold", "stale_liability")] == hedges(desk.wake(START_MS + 20_001))


def test_a_desk_sleeps_when_time_changes_nothing() -> None:
    """However long the silence, a desk wakes a few times and then no more."""
    desk, wakes = Desk(policy(quiet_funding=False)), 0
    tell(desk, START_MS, *facts(1_000_000))
    while (at_ms := desk.wake_at_ms()) is not None:
        desk.wake(at_ms)
        wakes += 1
    assert 0 < wakes <= 6


def test_a_price_from_the_future_does_not_stay_for_ever() -> None:
    """A producer whose clock is years ahead makes no price that outlives all others."""
    desk = Desk(policy())
    tell(desk, START_MS, *facts(1_000_000, -980_000), tick("39000", START_MS + 10**11))
    answers = tell(desk, START_MS + 60_000, *facts(1_000_000, sequence=2, at_ms=START_MS + 60_000)[:3])
    assert [("hold", "stale_price")] == hedges(answers)
    tell(desk, START_MS + 60_001, tick("41000", START_MS + 60_001))
    assert "41000" == desk.snapshot()[0]["price"]["price_usd"]


def test_repeats_are_counted_and_not_recorded() -> None:
    """A decision that says what the last one said is counted by the next one that does not."""
    desk = Desk(policy())
    assert [("nothing", "flat")] == hedges(tell(desk, START_MS, *facts(0)))
    for ms in range(1, 4):
        assert [] == tell(desk, START_MS + ms, tick(at_ms=START_MS + ms))
    answers = tell(desk, START_MS + 4, liability(1_000_000, 2))
    assert [3] == [answer.repeats for answer in answers if isinstance(answer, Decision) and answer.kind == "hedge"]


def test_every_decision_is_recorded_when_wanted() -> None:
    """Under `record_all` a repeated decision is recorded like any other, under an id of its own."""
    desk = Desk(policy(record_all=True))
    answers = tell(desk, START_MS, *facts(0)) + tell(desk, START_MS + 1, tick(at_ms=START_MS + 1))
    assert (4, 4) == (len(answers), len({answer.id for answer in answers}))


@pytest.mark.parametrize("state", sorted(FINAL & {"refused", "filled", "canceled", "rejected", "not_placed"}))
def test_the_end_of_an_order_frees_the_desk(state: str) -> None:
    """Every way in which an order can end lets the next one go, once a position covers it."""
    desk = Desk(policy())
    (first,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    assert [("hold", "order_in_flight")] == hedges(tell(desk, START_MS + 1, tick(at_ms=START_MS + 1)))
    tell(desk, START_MS + 2, order_report(first.client_order_id, state, 5))
    later_ms = START_MS + 5_000
    (second,) = orders(tell(desk, later_ms, *facts(1_000_000, sequence=6, at_ms=later_ms)))
    assert first.client_order_id != second.client_order_id


def test_a_position_that_does_not_cover_the_last_order_means_hold() -> None:
    """After a fill the desk waits for a position that knows of it, rather than hedging twice."""
    desk = Desk(policy())
    (order,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    later_ms = START_MS + 5_000
    answers = tell(desk, later_ms, order_report(order.client_order_id, "filled", 9), *facts(1_000_000, at_ms=later_ms))
    assert [("hold", "position_behind_order")] == hedges(answers)
    assert [("nothing", "in_band")] == hedges(tell(desk, later_ms + 1, position(-980_000, 9, later_ms)))


def test_orders_keep_their_distance_and_the_desk_wakes_for_the_next() -> None:
    """An order that comes too soon waits for the rest of the interval, and then goes without being asked."""
    desk = Desk(policy())
    (order,) = orders(tell(desk, START_MS, *facts(1_000_000)))
    filled = order_report(order.client_order_id, "canceled", 2)
    answers = tell(desk, START_MS + 100, filled, *facts(1_000_000, sequence=2, at_ms=START_MS + 100))
    assert [("hold", "order_rate")] == hedges(answers)
    assert START_MS + 2_000 == desk.wake_at_ms()
    assert 1 == len(orders(desk.wake(START_MS + 2_000)))


def test_an_order_of_an_earlier_life_takes_the_slot() -> None:
    """An open order that this desk did not ask for, as after a restart, is waited for too."""
    desk = Desk(policy())
    answers = tell(desk, START_MS, order_report("old", "open"), *facts(1_000_000))
    assert [("hold", "order_in_flight")] == hedges(answers)
    answers = tell(desk, START_MS + 1, order_report("old", "filled", 1))
    assert 1 == len(orders(answers))


def test_other_venues_and_accounts_are_none_of_its_business() -> None:
    """Facts of another venue or account change nothing."""
    desk, before = Desk(policy()), Desk(policy()).snapshot()[:3]
    other = liability(5).model_copy(update={"account": "OKEX_ALLOCATION"})
    report = order_report("o", "open").model_copy(update={"venue": "elsewhere"})
    for word in (other, position(5, venue="elsewhere"), report):
        desk._learn(word)
    assert before == desk.snapshot()[:3]


# Anything in any order.

REPORTED = ("reserved", "sent", "unknown", "open", "refused", "filled", "canceled", "rejected", "not_placed")
MOVED = ("reserved", "sent", "unknown", "pending", "refused", "done", "failed", "not_sent")
Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("owed", "position", "pockets", "price", "order", "order", "transfer", "silence")),
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
            case "order" | "transfer":
                return self._report(what, choice, number)
            case _:
                return None

    def _report(self, what: str, choice: int, number: int) -> Message:
        names = [*self.asked[what][-3:], "of an earlier life"]
        name, states = names[choice % len(names)], REPORTED if what == "order" else MOVED
        state = states[(choice * 7 + number) % len(states)]
        if state in FINAL:
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


def live(setup: DeskPolicy, steps: Sequence[Step], restart_at: int = -1) -> list[Any]:
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
    live(policy(name, quiet_funding=False), steps)


@given(steps=STEPS, restart_at=st.integers(1, 40))
def test_a_restarted_desk_goes_on_alike(steps: list[Step], restart_at: int) -> None:
    """A desk that is restarted from its snapshot says what one that was not would have said."""
    setup = policy(quiet_funding=False)
    assert live(setup, steps) == live(setup, steps, restart_at)


def alerts(answers: Iterable[Any]) -> list[str]:
    """The subjects of the alerts among answers."""
    return [answer.subject for answer in answers if isinstance(answer, Alert)]


def test_a_stale_fact_raises_an_alarm_once() -> None:
    """Each kind of decision that begins to hold on a stale fact says so in an alert, and its repeats do not."""
    desk = Desk(policy())
    assert [] == alerts(tell(desk, START_MS, *facts(1_000_000, -980_000)))
    assert ["stale_fact", "stale_fact"] == alerts(desk.wake(START_MS + 1_000_000))
    assert [] == alerts(desk.wake(START_MS + 1_000_001))


def test_a_decision_tells_what_the_reference_would_have_done() -> None:
    """The alternative that the guarded policy refused is recorded with both rules; where they agree there is none."""
    desk = Desk(policy())
    decision = tell(desk, START_MS, *facts(1_000_000))[0]
    assert [] == decision.refused
    later = tell(desk, START_MS + 1, liability(2_000_000, 2, START_MS + 1))
    refused = [answer.refused for answer in later if isinstance(answer, Decision) and answer.kind == "hedge"]
    assert 1 == len(refused)
    assert refused[0][0].startswith("reference: sell -196 contracts (below_low_bound)")
    assert refused[0][0].endswith("refused by order_in_flight")


def test_an_amount_that_cannot_be_meant_is_held() -> None:
    """A decision whose amount no message may carry is a Hold, not a crash."""
    desk = Desk(DeskPolicy(VENUE, "reference"))
    answers = tell(desk, START_MS, *facts(10**37))
    assert [("hold", "amount_unusable")] == hedges(answers)


@given(steps=STEPS)
def test_every_request_has_its_decision(steps: list[Step]) -> None:
    """Whatever is asked for follows the decision that asks for it, and no two decisions share an id."""
    said = live(policy(quiet_funding=False), steps)
    asks = HedgeOrder | CollateralTransfer
    requests = [(before, answer) for before, answer in pairwise(said) if isinstance(answer, asks)]
    assert all(decision.id == request.decision_id for decision, request in requests)
    ids = [answer.id for answer in said if isinstance(answer, Decision)]
    assert len(ids) == len(set(ids))


@pytest.mark.parametrize("name", POLICIES)
@given(steps=STEPS)
def test_nothing_leaves_a_desk_stuck(name: Literal["guarded", "reference"], steps: list[Step]) -> None:
    """Once all that is open has ended (and is told so twice) and facts are fresh, a gap in the hedge is closed."""
    desk, world = Desk(policy(name)), World()
    for number, step in enumerate(steps, 1):
        word = world.word(step, number)
        if word is not None:
            world.check(tell(desk, world.now_ms, word))
    now_ms = world.now_ms + 60_000
    ends = [order_report(one, "filled", 90, now_ms) for one in [*world.asked["order"], "of an earlier life"]]
    answers = tell(desk, now_ms, *ends, *ends, *facts(5_000_000, sequence=100, at_ms=now_ms))
    assert [("sell", "below_low_bound")] == hedges(answers)


@given(st.lists(st.tuples(st.integers(0, 60_000), st.booleans()), min_size=1, max_size=8))
def test_nothing_stale_is_acted_on(ages: list[tuple[int, bool]]) -> None:
    """Whenever a desk asks for an order, all four facts are inside their limits at that instant."""
    desk, now_ms, limits = Desk(policy()), START_MS + 100_000, Freshness()
    for number, (age_ms, is_position) in enumerate(ages, 1):
        word = position(0, number, now_ms - age_ms) if is_position else tick(at_ms=now_ms - age_ms)
        for order in orders(tell(desk, now_ms, liability(1_000_000, 1, now_ms), pockets(at_ms=now_ms), word)):
            kept = desk.snapshot()[0]
            assert kept["position"]["as_of"] + limits.position_age_max_ms >= order.as_of
            assert kept["price"]["as_of"] + limits.price_age_max_ms >= order.as_of
