"""The pairing book: what ends up live is a function of the set of legs, whatever the order, the cuts and the memory."""

import pickle
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain.pairing.book import PairingBook
from domain.pairing.effects import (
    Arrival,
    Effect,
    KnownTrade,
    LegRefused,
    LegTooOld,
    LegWaits,
    TradePaired,
    TradeUnpaired,
    arrival_of,
)
from domain.pairing.legs import Leg, pairing_key
from domain.pairing.match import match_closest, match_first
from domain.streams.records import Record

SECOND_MS = 1_700_000_000_000
INTRA = "SettlementViaIntraLedger"


def knows(book: PairingBook, key: str) -> bool:
    """Whether the book remembers a pairing key; if not, an arrival has to bring what the ledger knows."""
    return key in book._pages or key in book._couples


def leg(
    leg_id: str,
    cents: int = 2_000,
    *,
    status: str = "SUCCESS",
    memo: str | None = None,
    buys: bool = True,
    at_ms: int = 0,
) -> Leg:
    """A leg of a user who buys dollars (or sells them); ids that begin with a b are the bitcoin legs."""
    currency = "BTC" if leg_id.startswith("b") else "USD"
    direction = "RECEIVE" if buys == (currency == "BTC") else "SEND"
    amount = cents * 50 if currency == "BTC" else cents
    return Leg(leg_id, SECOND_MS + at_ms, status, direction, currency, amount, INTRA, memo, cents)


class Books:
    """A stand-in for the ledger: it holds every effect on a pair, and refuses one that is out of turn."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str], int] = {}
        self.legs: dict[str, Leg] = {}

    def post(self, effects: Iterable[Effect]) -> list[Effect]:
        """Hold a batch of effects."""
        for effect in effects:
            if isinstance(effect, TradePaired | TradeUnpaired):
                self._hold(effect)
        return [*effects]

    def _hold(self, effect: TradePaired | TradeUnpaired) -> None:
        pair = (effect.key, effect.btc.id, effect.usd.id)
        count = self.counts.get(pair, 0)
        assert effect.generation == count // 2
        assert (count % 2 == 1) == isinstance(effect, TradeUnpaired)
        for one in (effect.btc, effect.usd):
            assert one == self.legs.setdefault(one.id, one)
            assert isinstance(effect, TradeUnpaired) or not any(one.id in live for live in self.live)
        self.counts[pair] = count + 1

    @property
    def live(self) -> set[tuple[str, str]]:
        """The pairs that stand."""
        return {pair[1:] for pair, count in self.counts.items() if count % 2}

    def known_of(self, leg: Leg, knows_key: bool) -> tuple[KnownTrade, ...]:
        """What a leg brings: all that is held of its key, if the book does not know it, and of those it was booked under."""
        keys = {pair[0] for pair in self.counts if leg.id in pair[1:]} | (set() if knows_key else {pairing_key(leg)})
        return tuple(one for key in sorted(keys) for one in self.known(key))

    def known(self, key: str) -> tuple[KnownTrade, ...]:
        """All that is held under a pairing key."""
        return tuple(
            KnownTrade(key, self.legs[btc], self.legs[usd], count)
            for (of, btc, usd), count in self.counts.items()
            if of == key
        )


def records(at_ms: int, arrivals: Iterable[Leg | Arrival]) -> list[Record]:
    """One instant of a source."""
    whole = [one if isinstance(one, Arrival) else arrival_of(one) for one in arrivals]
    return [Record(at_ms, "dealer.transactions/0", at_ms * 1_000 + n, one) for n, one in enumerate(whole)]


def feed(book: PairingBook, *instants: Sequence[Leg]) -> list[Effect]:
    """Hand a book some instants; return all effects."""
    return [effect for at_ms, legs in enumerate(instants, 1) for effect in book.apply(at_ms, records(at_ms, legs))]


def matched(legs: Iterable[Leg]) -> set[tuple[str, str]]:
    """What should be live of these legs, by the rule on the whole set."""
    groups: dict[str, list[Leg]] = {}
    for one in legs:
        if one.status == "SUCCESS" and one.cents:
            groups.setdefault(pairing_key(one), []).append(one)
    return {(btc.id, usd.id) for group in groups.values() for btc, usd in match_closest(group)}


def best(legs: Iterable[Leg]) -> list[Leg]:
    """The best word on each leg: a success before a failure before a pending."""
    rank = {"SUCCESS": 0, "FAILURE": 1, "PENDING": 2}
    chosen: dict[str, Leg] = {}
    for one in sorted(legs, key=lambda one: rank[one.status]):
        chosen.setdefault(one.id, one)
    return [*chosen.values()]


@st.composite
def histories(draw: st.DrawFn) -> list[list[Leg]]:
    """Legs of a few keys and neighbouring worths, some with several words on them, in any order, cut into instants."""
    number = draw(st.integers(1, 24))
    words: list[Leg] = []
    for index in range(number):
        one = leg(
            draw(st.sampled_from("bu")) + f"{draw(st.integers(0, 99)):02d}-{index}",
            cents=draw(st.integers(1, 9)),
            memo=draw(st.sampled_from((None, None, None, "JournalId:1", "tea"))),
            buys=draw(st.booleans() if index % 4 == 0 else st.just(True)),
            at_ms=draw(st.sampled_from((0, 0, 0, 400, 1_000))),
        )
        statuses = draw(st.sampled_from((["SUCCESS"],) * 6 + (["PENDING", "SUCCESS"], ["FAILURE"], ["SUCCESS"] * 2)))
        words.extend(one._replace(status=status) for status in statuses)
    words = draw(st.permutations(words))
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=len(words))))
    return [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True) if a < b]


@given(histories())
def test_live_pairs_are_a_function_of_the_set(history: list[list[Leg]]) -> None:
    """In any order and any split into instants, the pairs left live are the closest match of all legs."""
    books, book = Books(), PairingBook()
    for at_ms, legs in enumerate(history):
        books.post(book.apply(at_ms, records(at_ms, legs)))
    assert matched(best(one for legs in history for one in legs)) == books.live


@given(histories())
def test_one_instant_books_nothing_wrong(history: list[list[Leg]]) -> None:
    """With everything known in one instant there is not a single reversal."""
    effects = feed(PairingBook(), [one for legs in history for one in legs])
    assert [effect for effect in effects if isinstance(effect, TradeUnpaired)] == []


@given(histories(), st.lists(st.booleans(), min_size=30, max_size=30))
def test_forgetting_changes_nothing(history: list[list[Leg]], forgets: list[bool]) -> None:
    """A book that forgets what has settled, and is told again by the ledger, ends with the same pairs."""
    books, book = Books(), PairingBook()
    for at_ms, legs in enumerate(history):
        arrivals = [arrival_of(one, books.known_of(one, knows(book, pairing_key(one)))) for one in legs]
        books.post(book.apply(at_ms, records(at_ms, arrivals)))
        if forgets[at_ms]:
            book.forget(at_ms + 1)
    assert matched(best(one for legs in history for one in legs)) == books.live


@given(histories(), st.integers(0, 30))
def test_crash_and_replay_book_nothing_twice(history: list[list[Leg]], crash_at: int) -> None:
    """A book that lost everything reads again, is told what the ledger holds, and ends with the same pairs."""
    books, book = Books(), PairingBook()
    for at_ms, legs in enumerate(history[:crash_at]):
        books.post(book.apply(at_ms, records(at_ms, legs)))
    book = PairingBook()
    for at_ms, legs in enumerate(history):
        arrivals = [arrival_of(one, books.known(pairing_key(one))) for one in legs]
        books.post(book.apply(at_ms, records(at_ms, arrivals)))
    assert matched(best(one for legs in history for one in legs)) == books.live


@given(histories(), st.integers(0, 30))
def test_restored_book_goes_on_the_same(history: list[list[Leg]], cut: int) -> None:
    """A book restored from a snapshot answers as the one that was never stopped, and the snapshot stays as it was.

    This is so while something waits on every page; settled pages come back from the ledger, as the test above shows.
    """
    book = PairingBook(age_max_ms=3)
    for at_ms, legs in enumerate(history[:cut]):
        book.apply(at_ms, records(at_ms, legs))
    snapshot = book.snapshot()
    before = pickle.dumps(snapshot)
    restored = PairingBook.restore(snapshot, age_max_ms=3)
    assume(all(knows(restored, pairing_key(one)) for legs in history[:cut] for one in legs))
    assert book.gauges() == restored.gauges()
    for at_ms, legs in enumerate(history[cut:], cut):
        assert book.wake_at_ms() == restored.wake_at_ms()
        assert book.wake(at_ms) == restored.wake(at_ms)
        assert book.apply(at_ms, records(at_ms, legs)) == restored.apply(at_ms, records(at_ms, legs))
        assert book.forget(at_ms - 5) == restored.forget(at_ms - 5)
    assert book.snapshot() == restored.snapshot()
    assert before == pickle.dumps(snapshot)


@given(histories())
def test_waiting_is_what_is_not_paired(history: list[list[Leg]]) -> None:
    """The newest word per leg names as waiting those that did not fail and have no partner, and the sums agree."""
    book, newest = PairingBook(), dict[str, LegWaits]()
    for effect in feed(book, *history):
        if isinstance(effect, LegWaits):
            newest[effect.leg.id] = effect
    legs = best(one for instant in history for one in instant)
    paired = {leg_id for pair in matched(legs) for leg_id in pair}
    waiting = [one for one in legs if one.status != "FAILURE" and one.id not in paired]
    assert {one.id for one in waiting} == {
        leg_id for leg_id, effect in newest.items() if effect.state in ("waiting", "pending")
    }
    assert len(waiting) == book.gauges()["waiting_legs"]
    assert sum(one.cents for one in waiting) == book.gauges()["waiting_worth_cents"]


def kinds(effects: Iterable[Effect]) -> list[str]:
    """Effects in short: what, and of which legs."""
    return [*map(_kind, effects)]


def _kind(effect: Effect) -> str:
    match effect:
        case TradePaired() | TradeUnpaired():
            sign = "+" if isinstance(effect, TradePaired) else "-"
            return f"{sign}{effect.btc.id}{effect.usd.id}.{effect.generation}"
        case LegWaits():
            return f"{effect.leg.id} {effect.state}"
        case LegRefused():
            return f"{effect.leg_id} refused {effect.reason}"
        case LegTooOld():
            return f"{effect.leg.id} alarm"


def test_better_partner_later_corrects_the_pair() -> None:
    """A worse pair is reversed before the better one is booked, and both name the message that made the difference."""
    book = PairingBook()
    effects = feed(book, [leg("b", 2_000)], [leg("u1", 2_001)], [leg("u2", 2_000)])
    assert kinds(effects) == ["b waiting", "+bu1.0", "b paired", "-bu1.0", "+bu2.0", "u1 waiting"]
    assert (effects[3].source_offset, effects[4].source_offset) == (3_000, 3_000)


def test_generation_counts_how_often_a_pair_was_booked() -> None:
    """A pair that was booked, reversed and is the best again is booked as its next generation."""
    book = PairingBook()
    one, two = leg("b1", 100), leg("u1", 101)
    known = (KnownTrade(pairing_key(one), one, two, 2),)
    assert kinds(book.apply(1, records(1, [arrival_of(one, known)]))) == ["+b1u1.1"]


def test_cause_is_the_later_of_the_two_legs() -> None:
    """A pair that is found in one instant carries the coordinates of whichever of its legs came later."""
    effects = feed(PairingBook(), [leg("u1", 5), leg("b1", 5), leg("b9", 900)])
    assert [(effect.source, effect.source_offset) for effect in effects if isinstance(effect, TradePaired)] == [
        ("dealer.transactions/0", 1_001)
    ]


def test_pending_leg_pairs_once_it_succeeds() -> None:
    """A pending leg is not paired; the same leg as a success is."""
    effects = feed(PairingBook(), [leg("b", status="PENDING"), leg("u")], [leg("b")])
    assert kinds(effects) == ["b pending", "u waiting", "+bu.0", "b paired", "u paired"]


def test_pending_leg_that_fails_is_dropped() -> None:
    """A pending leg that fails no longer waits, and is refused by name."""
    effects = feed(PairingBook(), [leg("b", status="PENDING")], [leg("b", status="FAILURE")])
    assert kinds(effects) == ["b pending", "b refused failed", "b dropped"]


def test_success_beats_failure_in_any_order() -> None:
    """A leg that was reported as both has succeeded; the failure is told of, whichever came first."""
    failed, good, partner = leg("b", status="FAILURE"), leg("b"), leg("u")
    assert kinds(feed(PairingBook(), [failed, good, partner])) == ["b refused failed", "+bu.0"]
    assert kinds(feed(PairingBook(), [good, failed, partner])) == ["b refused failed", "+bu.0"]


def test_failure_beats_pending_in_any_order() -> None:
    """A leg that failed does not wait again because of an older word on it."""
    pending, failed = leg("b", status="PENDING"), leg("b", status="FAILURE")
    assert kinds(feed(PairingBook(), [failed], [pending])) == ["b refused failed"]


def test_same_leg_again_is_nothing() -> None:
    """A leg that is delivered twice, waiting or paired, leads to nothing more."""
    effects = feed(PairingBook(), [leg("b")], [leg("b")], [leg("u")], [leg("u"), leg("b")])
    assert kinds(effects) == ["b waiting", "+bu.0", "b paired"]


def test_contradiction_is_refused_and_the_first_word_stands() -> None:
    """Another success under the same id is a conflict, in the same key or another, and changes nothing."""
    effects = feed(PairingBook(), [leg("b", 100)], [leg("b", 101), leg("b", 100, memo="JournalId:1")], [leg("u", 100)])
    assert kinds(effects) == ["b waiting", "b refused conflict", "b refused conflict", "+bu.0", "b paired"]


@pytest.mark.parametrize("changed", [{"at_ms": 7_000}, {"cents": 3_000}, {"memo": "JournalId:1"}, {"buys": False}])
@pytest.mark.parametrize("before", ["PENDING", "FAILURE"])
def test_what_succeeds_in_other_words_is_one_leg(before: str, changed: dict[str, Any]) -> None:
    """The success decides where the leg belongs, whether it comes before or after what was told of it as pending or failed."""
    provisional, success, partner = leg("b", status=before), leg("b", **changed), leg("u", **changed)
    for words in ([provisional, success], [success, provisional]):
        book, books = PairingBook(), Books()
        for at_ms, word in enumerate([*words, partner]):
            books.post(book.apply(at_ms, records(at_ms, [word])))
        assert {("b", "u")} == books.live
        assert 0 == book.gauges()["waiting_legs"] == book.gauges()["waiting_worth_cents"]


def test_a_failure_in_other_words_drops_the_leg_where_it_waits() -> None:
    """It belongs nowhere else; and a success that is worth nothing is as good as a failure."""
    pending = leg("b", status="PENDING")
    for last in (leg("b", 9, status="FAILURE", at_ms=7_000), leg("b", 0, at_ms=7_000)):
        book = PairingBook()
        assert kinds(feed(book, [pending], [last])) == ["b pending", "b refused failed", "b dropped"]
        assert {0} == set(book.gauges().values())


def test_the_trade_of_a_leg_that_fails_late_stands() -> None:
    """It was booked on a success; the refusal says that it stands, and nothing is taken back."""
    effects = feed(PairingBook(), [leg("b"), leg("u")], [leg("b", status="FAILURE", at_ms=9_000)])
    assert kinds(effects) == ["+bu.0", "b refused failed"]
    assert "so does its trade" in getattr(effects[-1], "detail", "")


@st.composite
def tellings(draw: st.DrawFn) -> list[list[Leg]]:
    """Few legs with many words on each, which differ in status, second, worth and memo, in any order and any instants."""
    words = [
        leg(
            draw(st.sampled_from(("b1", "b2", "b3", "u1", "u2", "u3"))),
            cents=draw(st.integers(0, 3)),
            status=draw(st.sampled_from(("SUCCESS", "SUCCESS", "PENDING", "FAILURE"))),
            memo=draw(st.sampled_from((None, "JournalId:1"))),
            at_ms=draw(st.sampled_from((0, 400, 1_000))),
        )
        for _ in range(draw(st.integers(1, 16)))
    ]
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=len(words))))
    return [words[a:b] for a, b in zip([0, *cuts], [*cuts, len(words)], strict=True) if a < b]


def chosen(words: Iterable[Leg]) -> list[Leg]:
    """Of each leg the first success that is worth something; the words before and after it do not matter."""
    first: dict[str, Leg] = {}
    for one in words:
        if one.status == "SUCCESS" and one.cents:
            first.setdefault(one.id, one)
    return [*first.values()]


@given(tellings(), st.lists(st.booleans(), min_size=16, max_size=16), st.lists(st.booleans(), min_size=16, max_size=16))
def test_contradicting_words_leave_each_leg_in_one_trade(
    history: list[list[Leg]], forgets: list[bool], restarts: list[bool]
) -> None:
    """Whatever is told of a leg, and whatever is forgotten or lost between, the live pairs are the match of the chosen words.

    No leg is ever in two live pairs: the books that are posted to refuse that.
    """
    books, book = Books(), PairingBook()
    for at_ms, legs in enumerate(history):
        arrivals = [arrival_of(one, books.known_of(one, knows(book, pairing_key(one)))) for one in legs]
        books.post(book.apply(at_ms, records(at_ms, arrivals)))
        if restarts[at_ms]:
            book = PairingBook.restore(book.snapshot())
        elif forgets[at_ms]:
            book.forget(at_ms + 1)
    assert matched(chosen(one for legs in history for one in legs)) == books.live


class LongWay(PairingBook):
    """A book that makes a page for every key at once."""

    def _without_couples(self, records: Sequence[Record[Arrival]], instant: object) -> Iterable[Record[Arrival]]:  # noqa: ARG002
        return records


def in_order(snapshot: Any) -> Any:
    """A snapshot with its pages and their legs in order, which is all that a book makes of them."""
    pages, waiting = snapshot
    return sorted((key, since, sorted(legs), sorted(counts)) for key, since, legs, counts in pages), sorted(waiting)


@given(histories() | tellings(), st.lists(st.booleans(), min_size=40, max_size=40))
def test_the_short_way_of_couples_is_the_long_one(history: list[list[Leg]], forgets: list[bool]) -> None:
    """Whatever comes later of two legs that were alone on their page, every effect is the same, in the same order."""
    short, long = PairingBook(), LongWay()
    for at_ms, (legs, forgets_now) in enumerate(zip(history, forgets, strict=False), 1):
        arrivals = records(at_ms, legs)
        assert short.apply(at_ms, arrivals) == long.apply(at_ms, arrivals)
        assert short.gauges() == long.gauges()
        if forgets_now:
            assert short.forget(at_ms - 1) == long.forget(at_ms - 1)
    assert in_order(short.snapshot()) == in_order(long.snapshot())


@given(tellings().flatmap(lambda history: st.permutations([one for legs in history for one in legs])), st.data())
def test_order_matters_only_where_two_successes_contradict_each_other(words: list[Leg], data: st.DataObject) -> None:
    """With at most one success per leg the same pairs are live at the end of every order of the same words."""
    agreed = chosen(words)
    words = [one for one in words if one.status != "SUCCESS" or one in agreed]
    other = data.draw(st.permutations(words))
    live = []
    for order in (words, other):
        books, book = Books(), PairingBook()
        for at_ms, one in enumerate(order):
            books.post(book.apply(at_ms, records(at_ms, [one])))
        live.append(books.live)
    assert live[0] == live[1]


def test_worthless_leg_is_refused() -> None:
    """A leg that rounds to no cents never waits."""
    assert kinds(feed(PairingBook(), [leg("b", 0)])) == ["b refused worthless"]


def test_old_leg_is_told_of_once_and_still_pairs() -> None:
    """A leg that waits too long raises one alarm, stays, and pairs when its partner comes days later."""
    book = PairingBook(age_max_ms=1_000)
    book.apply(5, records(5, [leg("b")]))
    assert book.wake_at_ms() == 1_005
    assert kinds(book.wake(1_004)) == []
    assert kinds(book.wake(1_005)) == ["b too_old", "b alarm"]
    names = ("oldest_waiting_since_ms", "fresh_waiting_since_ms", "waiting_legs")
    assert (None, 5, 0, 1) == (book.wake_at_ms(), *map(book.gauges().__getitem__, names))
    assert kinds(book.apply(9**9, records(9**9, [leg("u")]))) == ["+bu.0", "b paired"]
    assert {0} == set(book.gauges().values())


def test_waiting_pages_are_never_forgotten() -> None:
    """Forgetting drops settled pages that were not touched since, and none in which a leg waits."""
    book = PairingBook()
    feed(book, [leg("b1", at_ms=0), leg("u1", at_ms=0)], [leg("b2", at_ms=5_000)], [leg("b3", at_ms=9_000)])
    book.apply(10, records(10, [leg("u3", at_ms=9_000)]))
    assert book.forget(10) == 1
    keys = [pairing_key(leg("b", at_ms=at_ms)) for at_ms in (0, 5_000, 9_000)]
    assert [knows(book, key) for key in keys] == [False, True, True]


def test_conflicting_memory_yields_to_what_was_booked() -> None:
    """What the ledger holds is a fact: the reversal takes back what was booked, not what was heard since."""
    book, booked = PairingBook(), leg("b", 100)
    book.apply(1, records(1, [leg("b", 101)]))
    known = KnownTrade(pairing_key(booked), booked, leg("u1", 101), 1)
    effects = book.apply(2, records(2, [arrival_of(leg("u2", 100), (known,))]))
    assert kinds(effects) == ["-bu1.0", "+bu2.0", "b paired", "u1 waiting"]
    assert booked == effects[0].btc


@given(histories())
def test_first_rule_never_corrects(history: list[list[Leg]]) -> None:
    """Under the reference's rule nothing is reversed, and one instant pairs as the reference pairs a list."""
    legs = [one for instant in history for one in instant if one.status == "SUCCESS"]
    legs = [*{one.id: one for one in legs}.values()]
    expected = sorted((btc.id, usd.id) for btc, usd in match_first(legs))
    effects = feed(PairingBook("first"), legs)
    assert expected == sorted((e.btc.id, e.usd.id) for e in effects if isinstance(e, TradePaired))
    assert not any(isinstance(e, TradeUnpaired) for e in feed(PairingBook("first"), *history))


def crowd(number: int, worths: int) -> Iterator[Leg]:
    """Legs of one second and one method: pairs of equal worth, side by side."""
    for index in range(number // 2):
        cents = 1_000 + index * 7_919 % worths
        yield leg(f"b{index:06d}", cents)
        yield leg(f"u{index:06d}", cents)


@pytest.mark.parametrize("worths", [1, 100, 10_000])
def test_crowded_second_stays_cheap(worths: int) -> None:
    """Twenty thousand legs of one second in a thousand instants cost well under two seconds, few worths or many."""
    book, legs = PairingBook(), [*crowd(20_000, worths)]
    started = time.process_time()
    feed(book, *(legs[at : at + 20] for at in range(0, len(legs), 20)))
    assert time.process_time() - started < 2
    assert 0 == book.gauges()["waiting_legs"]
