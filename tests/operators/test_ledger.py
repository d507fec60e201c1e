"""Booking: what goes out is what was committed, a repeat is answered like the first time, and time never passes an answer."""

import pickle
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import ConfigError, FencedError
from domain.ids import content_id
from domain.ledger.accounts import LIABILITY, Account
from domain.ledger.journal import CREDIT, Booked, Heard, Judged, Outcome, TakenBack, Transaction, reversal_of
from domain.ledger.memory import MemoryLedger
from domain.messages.ledger import LedgerBalance
from domain.pairing.effects import TradePaired
from domain.pairing.legs import leg_from, pairing_key
from domain.postings.trades import post_effect
from domain.streams.merge import Merge
from domain.streams.records import FOREVER_MS, Progress, Record
from domain.templates.holds import capture, hold, void
from operators.ledger import FULL, PACKING, VERSION, BookingLogic, OpenLedger, at_once
from operators.streams.machines import Answers, of_version
from tests.words import pair, record

SOURCE = "pair/pair-00"


class Later(Future[Booked]):
    """An answer that is there when somebody waits for it, or has looked often enough; those before it come first."""

    def __init__(self, post: Callable[[], Booked], looks: int, before: "Later | None") -> None:
        super().__init__()
        self._post = post
        self._looks = looks
        self._before = before

    def done(self) -> bool:
        """Whether the answer is there."""
        self._looks -= 1
        if self._looks < 0:
            self.result()
        return super().done()

    def result(self, timeout: float | None = None) -> Booked:
        """Wait for the answer."""
        if not super().done():
            if self._before is not None:
                self._before.result()
            self.set_result(self._post())
        return super().result(timeout)


def later(looks: Iterable[int]) -> Callable[[MemoryLedger], OpenLedger]:
    """Post so that it takes so many looks until an answer is there; 0 for whatever comes after."""
    waits = iter(looks)

    def opened(ledger: MemoryLedger) -> OpenLedger:
        last: list[Later | None] = [None]

        def post(transactions: Sequence[Transaction]) -> Later:
            last.append(Later(lambda: ledger.post(transactions), next(waits, 0), last[-1]))
            return last[-1]  # type: ignore[return-value]

        return OpenLedger(ledger, post)

    return opened


def booking(
    ledger: MemoryLedger,
    opened: Callable[[MemoryLedger], OpenLedger] = at_once,
    window_ms: int = 1,
    resume: tuple[Any, ...] | None = None,
    full: int = FULL,
) -> BookingLogic:
    """The booking step over a ledger in memory, new or restored."""
    started = (0, None, (), 0, 0) if resume is None else of_version("book", VERSION, resume)
    next_offset, merge, unanswered, heard_batch_id, newest_batch = started
    return BookingLogic(
        Merge([SOURCE], merge and PACKING.unpack_merge(merge)),
        opened(ledger),
        [LIABILITY],
        window_ms,
        next_offset=next_offset,
        unanswered=PACKING.unpack(unanswered),
        heard_batch_id=heard_batch_id,
        newest_batch=newest_batch,
        full=full,
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
    """The watched balances of an earlier run are said once, before anything is booked, and no other."""
    ledger = MemoryLedger()
    ledger.post([trade("1")])
    logic = booking(ledger)
    first, second = said(logic, postings(watermark_ms=3)), said(logic, postings(watermark_ms=4))
    told = [value for _, value in first[0].answers if isinstance(value, LedgerBalance)]
    assert {LIABILITY} == {(balance.account, balance.currency) for balance in told}
    assert [Answers(4, len(told), [])] == second


def test_the_liability_is_said_every_second() -> None:
    """The watched balance is said again once a second of stream time, from zero on, and not more often."""
    logic = booking(MemoryLedger())
    times = [postings(watermark_ms=ms) for ms in (10, 500, 1_009, 1_010, 1_500, 5_000)]
    assert [(10, 0), (1_010, 0), (5_000, 0)] == [pair for one in times for pair in liabilities(said(logic, one))]


class Overheard(MemoryLedger):
    """A ledger to which somebody else posts batch after batch: a posting, and its reversal."""

    def __init__(self, ends_at: int) -> None:
        super().__init__()
        self.asked: list[int] = []
        self._ends_at = ends_at

    def heard(self, after_batch_id: int) -> Heard:
        """One batch more at each question, until the last."""
        self.asked.append(after_batch_id)
        if after_batch_id == self._ends_at:
            return Heard(after_batch_id)
        taken_back = trade(str(after_batch_id))
        self.post([taken_back])
        back = taken_back._replace(id=content_id(taken_back.id), cause=reversal_of(taken_back.id))
        balances = [one for one in self.balances() if (one.account, one.currency) == LIABILITY]
        return Heard(after_batch_id + 1, balances, [TakenBack(back, taken_back)])


def test_what_others_post_is_heard_with_the_heartbeat() -> None:
    """Once a second it is asked for from where it was heard last, also after a restart, and told before the watched balance."""
    ledger = Overheard(3)
    logic = booking(ledger)
    first = [one for ms in (10, 500, 1_010) for one in said(logic, postings(watermark_ms=ms))]
    assert [(10, 2_000), (10, 2_000), (1_010, 4_000), (1_010, 4_000)] == liabilities(first)
    restored = booking(ledger, resume=pickle.loads(pickle.dumps(logic.snapshot())))  # noqa: S301 - as the engine does
    after = [one for ms in (2_010, 3_010) for one in said(restored, postings(watermark_ms=ms))]
    assert [0, 1, 2, 3] == ledger.asked
    told_of = [v.original.id for one in [*first, *after] for _, v in one.answers if isinstance(v, TakenBack)]
    assert [trade(name).id for name in "012"] == told_of


class Restored(MemoryLedger):
    """A ledger that ends with some batch."""

    def __init__(self, newest_batch: int) -> None:
        super().__init__()
        self._newest_batch = newest_batch

    def newest_batch(self) -> int:
        """As it was told."""
        return self._newest_batch


def test_a_ledger_that_ends_before_what_was_saved_is_refused() -> None:
    """What it has lost lies before the saved places, and would be booked by nobody; one that goes on is gone on with."""
    saved = booking(Restored(7)).snapshot()
    for newest in (7, 8):
        booking(Restored(newest), resume=saved)
    with pytest.raises(ConfigError, match=r"ends with batch 6, .* after batch 7: .*empty recovery folder"):
        booking(Restored(6), resume=saved)


def test_no_heart_beats_after_the_end() -> None:
    """When all sources have ended the last posting is answered and the end is passed on."""
    answers = said(booking(MemoryLedger()), postings((5, "1"), watermark_ms=FOREVER_MS))
    assert [(5, 2_000)] == liabilities(answers)
    assert [FOREVER_MS] == [one.watermark_ms for one in answers]


def test_what_fills_a_batch_is_sent_while_another_is_on_its_way() -> None:
    """Fewer wait until all before them are answered; so many are on their way at most, and are answered in their order."""
    sent: list[Future[Booked]] = []
    ledger, sizes = MemoryLedger(), list[int]()

    def post(transactions: Sequence[Transaction]) -> "Future[Booked]":
        sizes.append(len(transactions))
        sent.append(Future())
        return sent[-1]

    logic = booking(ledger, lambda ledger: OpenLedger(ledger, post), window_ms=1_000, full=3)
    told = []
    for first, size in ((0, 1), (1, 2), (3, 1), (4, 4), (8, 3), (11, 4)):
        came = postings(*((number, str(number)) for number in range(first, first + size)), watermark_ms=first + size)
        told += said(logic, came)
    assert [1, 3, 4, 3] == sizes
    assert [] == outcomes(told)
    for number, run in enumerate(([0], [1, 2, 3], [4, 5, 6, 7], [8, 9, 10], [11, 12, 13, 14])):
        sent[number].set_result(ledger.post([trade(str(name)) for name in run]))
        answered = said(logic, postings(watermark_ms=16 + number))
        assert run == [at_ms for at_ms, _ in outcomes(answered)]
    assert [1, 3, 4, 3, 4] == sizes


@pytest.mark.parametrize(("looks", "batches"), [(0, [1] * 6), (3, [1, 1, 2, 1, 1]), (5, [1, 2, 3]), (9, [1, 4, 1])])
def test_batches_grow_as_the_database_is_slow(looks: int, batches: list[int]) -> None:
    """A batch takes all that has come while the one before it was written: the longer that takes, the more."""
    posted: list[int] = []

    class Counting(MemoryLedger):
        def post(self, transactions: Sequence[Transaction]) -> Booked:
            posted.append(len(transactions))
            return super().post(transactions)

    logic = booking(Counting(), later([looks] * 6), window_ms=1_000)
    for number in range(6):
        logic.on_batch([postings((number, str(number)), watermark_ms=number + 1)])
    logic.on_eof()
    assert batches == posted


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


FULLS = st.sampled_from((1, 2, 3, FULL))


@given(activations(), st.lists(st.integers(0, 4)), FULLS)
def test_a_slow_database_changes_nothing(parts: list[Progress], looks: list[int], full: int) -> None:
    """However long answers are on their way, the same is answered, in the same order, and the books are the same."""
    one, other = MemoryLedger(), MemoryLedger()
    assert told(all_of(booking(one), parts)) == told(all_of(booking(other, later(looks), full=full), parts))
    assert one.transactions() == other.transactions()


@given(activations(), st.lists(st.integers(0, 4)), st.integers(0, 8), st.integers(0, 8), FULLS)
def test_a_crash_loses_no_answer(parts: list[Progress], looks: list[int], cut: int, crash: int, full: int) -> None:
    """Restored from a snapshot over the same ledger, the step answers every posting, as booked or as a duplicate."""
    ledger = MemoryLedger()
    logic = booking(ledger, later(looks), full=full)
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


@given(activations(), st.lists(st.integers(0, 4)), FULLS)
def test_answers_are_numbered_without_gaps(parts: list[Progress], looks: list[int], full: int) -> None:
    """Each answer has the next number, so that the next step can put them in order."""
    numbers, expected = 0, True
    for one in all_of(booking(MemoryLedger(), later(looks), full=full), parts):
        expected = expected and one.first_offset == numbers
        numbers += len(one.answers)
    assert expected


# Holds that come to their end.

GIVER, TAKER = (Account(900 + n, name, CREDIT, "Wallet", "USD") for n, name in enumerate(("GIVER", "TAKER")))


def promise(key: str, at_ms: int, ends_ms: int) -> Transaction:
    """A hold of five cents."""
    return hold(
        key,
        "GIVER",
        "TAKER",
        "USD",
        5,
        effective_at_ms=at_ms,
        correlation_id=content_id(key),
        source="wallet/0",
        source_offset=at_ms,
        expires_at_ms=ends_ms,
    )


@st.composite
def lives(draw: st.DrawFn) -> list[Record[Transaction]]:
    """Holds, of which some are captured or voided before their end, or too late, and some by nobody."""
    found: list[tuple[int, Transaction]] = []
    for number in range(draw(st.integers(1, 6))):
        at_ms = draw(st.integers(0, 20))
        held = promise(str(number), at_ms, at_ms + draw(st.integers(1, 20)))
        found.append((at_ms, held))
        ends_ms = at_ms + draw(st.integers(1, 30))
        facts = {"effective_at_ms": ends_ms, "source": "wallet/0", "source_offset": 1}
        end = draw(st.sampled_from(("capture", "void", "nothing")))
        if end == "capture":
            found.append((ends_ms, capture("1", held, draw(st.integers(1, 5)), **facts)))
        elif end == "void":
            found.append((ends_ms, void(held, **facts)))
    found.sort(key=lambda one: one[0])
    return [Record(at_ms, SOURCE, offset, transaction) for offset, (at_ms, transaction) in enumerate(found)]


def booked_by_holds(
    records: list[Record[Transaction]],
    cuts: list[int],
    opened: Callable[[MemoryLedger], OpenLedger] = at_once,
    full: int = FULL,
) -> tuple[MemoryLedger, list[tuple[int, str, str]]]:
    """The ledger, and what was answered, when the records come in parts."""
    ledger = MemoryLedger([GIVER, TAKER])
    logic = booking(ledger, opened, full=full)
    edges = sorted({0, len(records), *(cut % (len(records) + 1) for cut in cuts)})
    parts = [records[start:end] for start, end in pairwise(edges)]
    progress = [Progress(SOURCE, part[-1].at_ms, part) for part in parts]
    told = all_of(logic, [*progress, Progress(SOURCE, 100, []), Progress(SOURCE, 101, [])])
    answered = [
        (at_ms, one.transaction.id, one.verdict.outcome.value)
        for answers in told
        for at_ms, one in answers.answers
        if isinstance(one, Judged)
    ]
    return ledger, answered


@given(lives(), st.lists(st.integers(0, 20), max_size=5), st.lists(st.integers(0, 3)), FULLS)
def test_holds_expire_at_their_end_whatever_the_cuts(
    records: list[Record[Transaction]], cuts: list[int], looks: list[int], full: int
) -> None:
    """Every hold ends once, the one that nobody ended at its own time; the books do not depend on cuts or on a slow ledger."""
    expected, answered = booked_by_holds(records, [])
    ledger, _ = booked_by_holds(records, cuts, later(looks), full)
    assert expected.entry_rows() == ledger.entry_rows()
    assert answered == booked_by_holds(records, cuts)[1]
    assert [] == expected.open_holds()
    assert {0} >= {one.pending_debit + one.pending_credit for one in expected.balances()}
    expired = [one for one in expected.transactions() if one.template == "EXPIRE"]
    ends = {one.id: one.expires_at_ms for one in expected.transactions() if one.template == "HOLD"}
    assert all(one.cause and one.effective_at_ms == ends[one.cause.transaction_id] for one in expired)
    assert not [one for one in expected.rejected if one.transaction.template == "EXPIRE"]


def test_a_hold_from_before_the_start_expires_too() -> None:
    """A step that starts anew asks the ledger which holds are open, and lets them expire when their time has come."""
    ledger = MemoryLedger([GIVER, TAKER])
    ledger.post([promise("old", 0, 50)])
    logic = booking(ledger)
    said(logic, Progress(SOURCE, 49, []))
    assert 1 == len(ledger.open_holds())
    said(logic, Progress(SOURCE, 50, []))
    assert [] == ledger.open_holds()


def test_a_snapshot_of_another_version_is_refused() -> None:
    """State that this program does not know is a sentence before anything of it is looked at."""
    with pytest.raises(ConfigError, match="step book in version 7"):
        booking(MemoryLedger(), resume=(7, "whatever"))
