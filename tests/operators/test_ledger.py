"""Booking: what goes out is what was committed, a repeat is answered like the first time, and time never passes an answer."""

import pickle
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import LIABILITY
from domain.errors import FencedError
from domain.journal import Booked, Outcome, Transaction
from domain.legs import leg_from, pairing_key
from domain.memory_ledger import MemoryLedger
from domain.merge import Merge
from domain.messages import LedgerBalance
from domain.pairing_effects import TradePaired
from domain.streams import FOREVER_MS, Progress, Record
from operators.booking import BookingLogic, Judged, OpenLedger, Submit, Work, at_once
from operators.machines import Answers
from operators.posting import post_effect
from tests.flows.streams import pair, record

SOURCE = "pair/pair-00"


class Later(Future[list[Booked]]):
    """Work that is done when somebody waits for it, or has looked often enough."""

    def __init__(self, work: Work, looks: int) -> None:
        super().__init__()
        self._work = work
        self._looks = looks

    def done(self) -> bool:
        """Whether the answer is there."""
        self._looks -= 1
        if self._looks < 0:
            self.result()
        return super().done()

    def result(self, timeout: float | None = None) -> list[Booked]:
        """Wait for the answer."""
        if not super().done():
            self.set_result(self._work())
        return super().result(timeout)


def later(looks: Iterable[int]) -> Submit:
    """Submit work that takes so many looks until it is done; 0 for whatever comes after."""
    waits = iter(looks)
    return lambda work: Later(work, next(waits, 0))


def booking(
    ledger: MemoryLedger, submit: Submit = at_once, window_ms: int = 1, resume: tuple[Any, ...] | None = None
) -> BookingLogic:
    """The booking step over a ledger in memory, new or restored."""
    next_offset, merge, unanswered = resume or (0, None, ())
    return BookingLogic(
        Merge([SOURCE], merge),
        OpenLedger(ledger, submit),
        [LIABILITY],
        window_ms,
        next_offset=next_offset,
        unanswered=[Record(*one) for one in unanswered],
    )


def trade(name: str, cents: int = 2_000) -> Transaction:
    """The posting of a user who buys dollars."""
    btc, usd = map(leg_from, pair(name, cents))
    transaction = post_effect(record(TradePaired(btc, usd, 0, pairing_key(btc), "dealer.transactions/0", 1)))
    assert transaction is not None
    return transaction


def postings(*times: tuple[int, str], watermark_ms: int) -> Progress:
    """Postings by instant and name, and how far their source has come."""
    records = [Record(at_ms, SOURCE, at_ms, trade(name)) for at_ms, name in times]
    return Progress(SOURCE, watermark_ms, records)


def said(logic: BookingLogic, *progress: Progress) -> list[Answers]:
    """What the step says to one activation."""
    return [*logic.on_batch(list(progress))[0]]


def liabilities(answers: Sequence[Answers]) -> list[tuple[int, int]]:
    """The liability by instant, as it was said."""
    balances = [(at_ms, v) for one in answers for at_ms, v in one.answers if isinstance(v, LedgerBalance)]
    return [(at_ms, v.settled) for at_ms, v in balances if (v.account, v.currency) == LIABILITY]


def outcomes(answers: Sequence[Answers]) -> list[tuple[int, str]]:
    """The verdicts by instant."""
    return [(at_ms, str(v.verdict.outcome)) for one in answers for at_ms, v in one.answers if isinstance(v, Judged)]


def test_postings_are_booked_and_answered() -> None:
    """Out come a verdict per posting and the balances that it changed, at its instant."""
    answers = said(booking(MemoryLedger()), postings((5, "1"), (6, "2"), watermark_ms=9))
    assert [(5, "posted"), (6, "posted")] == outcomes(answers)
    assert [(5, 2_000), (6, 4_000), (9, 4_000)] == liabilities(answers)
    assert [9] == [one.watermark_ms for one in answers]


def test_a_window_is_one_batch() -> None:
    """With a wider window the balances are said once for all postings of it."""
    answers = said(booking(MemoryLedger(), window_ms=1000), postings((5, "1"), (6, "2"), watermark_ms=9))
    assert [(6, 4_000), (9, 4_000)] == liabilities(answers)


def test_nothing_is_booked_before_its_time() -> None:
    """A posting at or above the watermark waits."""
    ledger = MemoryLedger()
    logic = booking(ledger)
    said(logic, postings((5, "1"), watermark_ms=5))
    assert [] == ledger.transactions()
    said(logic, postings(watermark_ms=6))
    assert 1 == len(ledger.transactions())


def test_a_repeat_gets_the_present_balances() -> None:
    """A posting that an earlier run had booked is a duplicate, and what it touched is said again."""
    ledger = MemoryLedger()
    ledger.post([trade("1"), trade("2")])
    answers = said(booking(ledger), postings((5, "1"), watermark_ms=9))
    assert [(5, "duplicate")] == outcomes(answers)
    assert (5, 4_000) in liabilities(answers)


def test_another_body_is_a_conflict() -> None:
    """The same id with other entries changes nothing and is answered as what it is."""
    ledger = MemoryLedger()
    ledger.post([trade("1")])
    other = trade("1")._replace(entries=trade("1", 3_000).entries)
    answers = said(booking(ledger), Progress(SOURCE, 9, [Record(5, SOURCE, 0, other)]))
    assert [(5, Outcome.CONFLICT)] == outcomes(answers)
    assert 1 == len(ledger.transactions())


def test_a_ledger_says_its_balances_when_it_is_opened() -> None:
    """The books of an earlier run are said once, before anything is booked."""
    ledger = MemoryLedger()
    ledger.post([trade("1")])
    logic = booking(ledger)
    first, second = said(logic, postings(watermark_ms=3)), said(logic, postings(watermark_ms=4))
    assert {"EXTERNAL_OMNIBUS", "STABLESATS_BTC_WALLET", "STABLESATS_OMNIBUS", "STABLESATS_LIABILITY"} == {
        value.account for _, value in first[0].answers
    }
    assert [Answers(4, 5, [])] == second


def test_the_liability_is_said_every_second() -> None:
    """The watched balance is said again once a second of stream time, from zero on, and not more often."""
    logic = booking(MemoryLedger())
    times = [postings(watermark_ms=ms) for ms in (10, 500, 1_009, 1_010, 1_500, 5_000)]
    assert [(10, 0), (1_010, 0), (5_000, 0)] == [pair for one in times for pair in liabilities(said(logic, one))]


def test_no_heart_beats_after_the_end() -> None:
    """When all sources have ended the last posting is answered and the end is passed on."""
    answers = said(booking(MemoryLedger()), postings((5, "1"), watermark_ms=FOREVER_MS))
    assert [(5, 2_000)] == liabilities(answers)
    assert [FOREVER_MS] == [one.watermark_ms for one in answers]


def test_a_ledger_that_fails_stops_the_flow() -> None:
    """What the ledger raises is raised, now or when its answer is looked for: nothing goes on over it."""

    class Fenced(MemoryLedger):
        def post(self, transactions: Sequence[Transaction]) -> Booked:  # noqa: ARG002
            msg = "another writer has taken over"
            raise FencedError(msg)

    with pytest.raises(FencedError):
        said(booking(Fenced()), postings((5, "1"), watermark_ms=9))
    with pytest.raises(FencedError):
        booking(Fenced(), later([0])).on_batch([postings((5, "1"), watermark_ms=9)])
    slow = booking(Fenced(), later([9]))
    slow.on_batch([postings((5, "1"), watermark_ms=9)])
    with pytest.raises(FencedError):
        slow.snapshot()


NAMES = st.lists(st.tuples(st.integers(1, 30), st.sampled_from("123456")), max_size=8).map(sorted)


@st.composite
def activations(draw: st.DrawFn) -> list[Progress]:
    """Postings, some of them repeated, in any number of activations that end above them all."""
    times, parts = draw(NAMES), []
    for count in [*draw(st.lists(st.integers(0, 3), max_size=8)), len(times)]:
        part, times = times[:count], times[count:]
        parts.append(postings(*part, watermark_ms=part[-1][0] if part else 0))
    return [*parts, postings(watermark_ms=40), postings(watermark_ms=41)]


def all_of(logic: BookingLogic, progress: Sequence[Progress]) -> list[Answers]:
    """What the step says to one activation after the other, until its end; time never passes an answer to come."""
    answers = [one for part in progress for one in said(logic, part)]
    answers += logic.on_eof()[0]
    last_ms = -1
    for one in answers:
        assert all(at_ms >= last_ms for at_ms, _ in one.answers)
        assert one.watermark_ms >= last_ms
        last_ms = one.watermark_ms
    return answers


def told(answers: Sequence[Answers]) -> list[tuple[Any, Any]]:
    """Verdicts by instant, and the last word on each balance."""
    verdicts = [(at_ms, v) for one in answers for at_ms, v in one.answers if isinstance(v, Judged)]
    balances = {v.account: v.settled for one in answers for _, v in one.answers if isinstance(v, LedgerBalance)}
    return [*verdicts, *sorted(balances.items())]


@given(activations(), st.lists(st.integers(0, 4)))
def test_a_slow_database_changes_nothing(parts: list[Progress], looks: list[int]) -> None:
    """However long answers are on their way, the same is answered, in the same order, and the books are the same."""
    one, other = MemoryLedger(), MemoryLedger()
    assert told(all_of(booking(one), parts)) == told(all_of(booking(other, later(looks)), parts))
    assert one.transactions() == other.transactions()


@given(activations(), st.lists(st.integers(0, 4)), st.integers(0, 8), st.integers(0, 8))
def test_a_crash_loses_no_answer(parts: list[Progress], looks: list[int], cut: int, crash: int) -> None:
    """Restored from a snapshot over the same ledger, the step answers every posting, as booked or as a duplicate."""
    ledger = MemoryLedger()
    logic = booking(ledger, later(looks))
    before = [one for part in parts[:cut] for one in said(logic, part)]
    snapshot = pickle.loads(pickle.dumps(logic.snapshot()))  # noqa: S301 - as the engine does
    for part in parts[cut : cut + crash]:
        said(logic, part)
    restored = booking(ledger, resume=snapshot)
    assert snapshot == restored.snapshot()
    after = all_of(restored, parts[cut:])
    answered = [(at_ms, v.transaction.id) for one in [*before, *after] for at_ms, v in one.answers if isinstance(v, Judged)]
    assert [(r.at_ms, r.value.id) for part in parts for r in part.records] == answered
    assert {r.value.id for part in parts for r in part.records} == {one.id for one in ledger.transactions()}


@given(activations(), st.lists(st.integers(0, 4)))
def test_answers_are_numbered_without_gaps(parts: list[Progress], looks: list[int]) -> None:
    """Each answer has the next number, so that the next step can put them in order."""
    numbers, expected = 0, True
    for one in all_of(booking(MemoryLedger(), later(looks)), parts):
        expected = expected and one.first_offset == numbers
        numbers += len(one.answers)
    assert expected
