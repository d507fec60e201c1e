"""Books postings in the middle of a flow, so that everything downstream acts on what was committed.

The step takes the ledger as an argument, by the shape that `domain.ledger.journal.Ledger` defines; it is the one step that
does more than compute. It merges its sources by stream time, posts what is complete, and answers with a verdict per posting
and the balances that changed. A posting that is repeated after a crash is found to be a duplicate and its present balances
are given again. Once a second of stream time it asks the ledger what others have posted beside it, such as a person who
takes a trade back, and tells of that. Then it says again what the watched balances are, so that whoever decides on them can
tell a balance that did not change from a ledger that has fallen silent.

While the database writes one run of postings the flow goes on: what comes meanwhile makes the next run, and answers are given as
soon as they are there. So runs are as large as the database is slow. The next one is sent when all before it are answered, or
when enough wait to fill a batch, so that the writer has that to fold while it writes: small runs one behind the other would
cost more than they gain. Each look at a run waits some milliseconds for it, in which small runs are booked, since an answer is
worth more at once; between two looks the others in the process have their turn. Until they are answered, postings are part of
the step's snapshot. Where an epoch has to end with everything booked (`whole`), its snapshot posts first what still waits.

Holds that reach their end expire here: a run stops before the first instant at which a hold may be due, and goes on when it
is known whether that hold is still open. So what is posted does not depend on how the stream was cut.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple

import bytewax.operators as op
from bytewax.operators import StatefulBatchLogic

from domain.errors import BOOKS_STAY, ConfigError
from domain.ledger.balances import balance_message
from domain.ledger.journal import Balance, Booked, Judged, Ledger, TakenBack, Transaction
from domain.messages.ledger import LedgerBalance
from domain.pairing.booked import BookedLegs, booked_trades
from domain.streams.merge import Merge
from domain.streams.records import FOREVER_MS, Progress, Record, Snapshot
from domain.templates.hold_expiry import HoldTimers
from operators.streams.feeds import Feed
from operators.streams.machines import Answers, Pulse, named, of_version
from operators.streams.packing import Packing

Post = Callable[[Sequence[Transaction]], "Future[Booked]"]
"""Posts after all that was posted before, now or in the background."""

Answer = Judged | TakenBack | LedgerBalance
Posting = Record[Transaction]
Say = Callable[[Sequence[Posting], Booked], Iterator[tuple[int, Any]]]
"""Says what became of some postings, with the times of what it says."""

HEARTBEAT_MS = 1000
FULL = 2_000
"""So many postings are worth a batch of their own, whatever is on its way."""
BATCHES_UNDER_WAY_MAX = 3
"""One is written, one is folded, and one waits."""
READY_MAX = 20_000
"""With so many postings ready, the flow waits for the database after all."""
WAIT_SECONDS = 0.005
"""A small run is booked in that time, and its answer is worth more now than at the next look; no look waits for longer."""
LOOK = timedelta(milliseconds=1)
"""How soon after a look the next one is due, if nothing comes before."""
VERSION = 4
PACKING = Packing(Transaction)


class OpenLedger(NamedTuple):
    """A ledger that was opened for one step, how it is posted to, and where the legs of what is posted are noted."""

    ledger: Ledger
    post: Post
    booked: BookedLegs | None = None


class _UnderWay(NamedTuple):
    """Postings of one window that were sent, when the first of their holds may be due, and the answer to come."""

    window: Sequence[Posting]
    due_ms: int | None
    booked: "Future[Booked]"


class BookingLogic(StatefulBatchLogic[Progress[Transaction], Answers[Any], Snapshot]):
    """The writer of one ledger shard.

    `window_ms` is how much stream time one batch may span: 1 makes what is emitted independent of how the stream was cut,
    more makes it fast. `unanswered` are the records of a snapshot whose answers were still to come, `heard_batch_id` is up
    to where it had told of what others posted, and `newest_batch` was the last of the ledger: a ledger that ends before it has
    lost what the saved places have passed, and nobody would book that again, so it is refused. `full` is how many postings fill
    a batch. `whole` is whether an epoch ends with all of its postings booked, which takes a feed of one source; `say` says of
    answers something else than verdicts and balances.
    """

    def __init__(
        self,
        merge: Merge[Transaction],
        opened: OpenLedger,
        watched: Sequence[tuple[str, str]],
        window_ms: int,
        *,
        next_offset: int = 0,
        unanswered: Sequence[Posting] = (),
        heard_batch_id: int = 0,
        newest_batch: int = 0,
        full: int = FULL,
        whole: bool = False,
        say: Say | None = None,
    ) -> None:
        _refuse_older(opened.ledger.newest_batch(), newest_batch)
        self._merge = merge
        self._ledger, self._post, self._booked_legs = opened
        if self._booked_legs is not None:
            waiting = [record.value for record in (*unanswered, *merge.waiting())]
            self._booked_legs.take_up(booked_trades(waiting))
        self._window_ms = window_ms
        self._next_offset = next_offset
        self._ready = list(unanswered)
        self._full = full
        self._whole = whole
        self._say_of = say or self._verdicts_and_balances
        self._under_way: deque[_UnderWay] = deque()
        self._said_ms = -1
        # Accounts that were never booked are worth zero; whoever decides on them must hear it.
        self._watched = {key: Balance(*key, 0, 0, 0, 0, 0, 0, 0) for key in watched}
        self._heartbeat_due_ms = 0
        self._heard_batch_id = heard_batch_id
        self._opening: list[Balance] | None = list(self._ledger.balances(self._watched))
        self._timers = HoldTimers(self._ledger.open_holds())
        self._pulse = Pulse()

    def on_batch(self, values: list[Progress[Transaction]]) -> tuple[Iterable[Answers[Answer]], bool]:
        """Post what is complete now; answer what was posted before, as soon as it is."""
        for progress in values:
            self._merge.add(progress)
        self._ready += self._merge.release()
        answers = [*self._opened(), *self._advanced()]
        if self._under_way:
            wait((self._under_way[0].booked,), WAIT_SECONDS)
            answers += self._advanced()
        return self._say(answers), False

    def on_notify(self) -> tuple[Iterable[Answers[Answer]], bool]:
        """Look whether what was posted is booked by now."""
        return self.on_batch([])

    def notify_at(self) -> datetime | None:
        """While something is on its way to the database, look again soon: nobody may come by for long."""
        return datetime.now(UTC) + LOOK if self._under_way else None  # noqa: TID251 - Bytewax wants system time

    def on_eof(self) -> tuple[Iterable[Answers[Answer]], bool]:
        """Nothing more comes: post and answer everything."""
        answers = [*self._advanced()]
        while self._under_way:
            answers += [*self._answered(), *self._advanced()]
        return self._say(answers), False

    def _advanced(self) -> Iterator[tuple[int, Answer]]:
        """Answer what is booked, and post run after run until nothing is left, or what is on its way has to be waited for."""
        while True:
            while self._under_way and (self._under_way[0].booked.done() or len(self._ready) >= READY_MAX):
                yield from self._answered()
            # What was due before may have ended by what has just been answered.
            run = self._next()
            if not run:
                return
            self._send(run)

    def _next(self) -> Sequence[Posting]:
        """Return what is to be posted now: nothing, or the expiries that are due, or records before a hold may be due."""
        if not self._under_way:
            return self._expired() or self._cut()
        on_its_way = sum(len(one.window) for one in self._under_way)
        is_worth_it = len(self._ready) >= self._full and on_its_way < BATCHES_UNDER_WAY_MAX * self._full
        return self._cut() if is_worth_it else ()

    def _expired(self) -> Sequence[Posting]:
        """Return the expiries that are due by the next instant, when nothing is on its way that could end their holds."""
        now_ms = self._ready[0].at_ms if self._ready else self._merge.watermark_ms
        due = self._timers.due(now_ms) if now_ms < FOREVER_MS else []
        return [Record(max(one.effective_at_ms, self._said_ms), one.source, one.source_offset, one) for one in due]

    def _cut(self) -> Sequence[Posting]:
        """Take the records before the first instant at which a hold may be due, by what is known, or on its way."""
        known = (self._timers.next_ms(), *(one.due_ms for one in self._under_way))
        due_ms = min((ms for ms in known if ms is not None), default=None)
        if self._under_way and due_ms is not None and self._ready[0].at_ms >= due_ms:
            return ()
        cut, _ = _before_due(self._ready, due_ms)
        run, self._ready = self._ready[:cut], self._ready[cut:]
        return run

    def _send(self, run: Sequence[Posting]) -> None:
        if self._booked_legs is not None:
            self._booked_legs.note(record.value for record in run)
        for _, records in groupby(run, key=lambda record: record.at_ms // self._window_ms):
            window = list(records)
            _, due_ms = _before_due(window, None)
            self._under_way.append(_UnderWay(window, due_ms, self._post([record.value for record in window])))

    def _answered(self) -> Iterator[tuple[int, Answer]]:
        """Wait for the first that is on its way, and answer it."""
        window, _, answer = self._under_way[0]
        booked = answer.result()
        self._under_way.popleft()
        for record, verdict in zip(window, booked.verdicts, strict=True):
            self._timers.add(record.value, verdict)
        yield from self._say_of(window, booked)

    def _verdicts_and_balances(self, window: Sequence[Posting], booked: Booked) -> Iterator[tuple[int, Answer]]:
        for record, verdict in zip(window, booked.verdicts, strict=True):
            yield record.at_ms, Judged(record.value, verdict)
        for balance in booked.balances:
            yield self._noted(balance, window[-1].at_ms)

    def _say(self, answers: list[tuple[int, Answer]]) -> list[Answers[Answer]]:
        if self._under_way:
            # What is on its way is not answered, so time has not passed it yet.
            watermark_ms = max(self._said_ms, self._under_way[0].window[0].at_ms)
        else:
            watermark_ms = self._merge.watermark_ms
            answers += self._heartbeat()
        if not answers and watermark_ms <= self._said_ms:
            return []
        said = Answers(watermark_ms, self._next_offset, answers, self._gauges(watermark_ms))
        self._said_ms = watermark_ms
        self._next_offset += len(answers)
        return [said]

    def _opened(self) -> Iterator[tuple[int, Answer]]:
        balances, self._opening = self._opening, None
        at_ms = self._merge.watermark_ms
        for balance in balances or ():
            yield self._noted(balance, at_ms if 0 <= at_ms < FOREVER_MS else 0)

    def _noted(self, balance: Balance, at_ms: int) -> tuple[int, LedgerBalance]:
        key = (balance.account, balance.currency)
        if key in self._watched:
            self._watched[key] = balance
        return at_ms, balance_message(balance, at_ms)

    def _heartbeat(self) -> Iterator[tuple[int, Answer]]:
        now_ms = self._merge.watermark_ms
        if self._heartbeat_due_ms <= now_ms < FOREVER_MS:
            self._heartbeat_due_ms = now_ms + HEARTBEAT_MS
            yield from self._heard(now_ms)
            for balance in self._watched.values():
                yield now_ms, balance_message(balance, now_ms)

    def _heard(self, now_ms: int) -> Iterator[tuple[int, Answer]]:
        self._heard_batch_id, changed, taken_back = self._ledger.heard(self._heard_batch_id)
        for balance in changed:
            yield self._noted(balance, now_ms)
        for one in taken_back:
            yield now_ms, one

    def _gauges(self, watermark_ms: int) -> Mapping[str, int]:
        if not self._pulse.beats(watermark_ms):
            return {}
        return {**self._merge.gauges(), "watermark_ms": watermark_ms, "open_holds": len(self._timers)}

    def snapshot(self) -> Snapshot:
        """Waits for what is on its way: an epoch ends with its postings booked, answered or not."""
        if self._whole:
            self._ready += self._merge.drain()
            self._send(self._ready)
            self._ready = []
        for one in self._under_way:
            one.booked.result()
        under_way = [record for one in self._under_way for record in one.window]
        return (
            VERSION,
            self._next_offset,
            PACKING.pack_merge(self._merge.snapshot()),
            PACKING.pack([*under_way, *self._ready]),
            self._heard_batch_id,
            self._ledger.newest_batch(),
        )


def _refuse_older(newest: int, saved: int) -> None:
    if newest < saved:
        msg = (
            f"the ledger ends with batch {newest}, and what this flow has saved comes after batch {saved}: the database was "
            f"restored as it was before. To book what it has lost, {BOOKS_STAY}"
        )
        raise ConfigError(msg)


def _before_due(ready: Sequence[Posting], due_ms: int | None) -> tuple[int, int | None]:
    """Return how many records come before the first instant at which a hold may be due, those among them included, and when
    that is."""
    for number, record in enumerate(ready):
        if due_ms is not None and record.at_ms >= due_ms and number:
            return number, due_ms
        ends_ms = record.value.expires_at_ms
        if ends_ms is not None and (due_ms is None or ends_ms < due_ms):
            due_ms = ends_ms
    return len(ready), due_ms


def book(
    step_id: str,
    name: str,
    postings: Feed[Transaction],
    shard: int,
    open_ledger: Callable[[], OpenLedger],
    watched: Sequence[tuple[str, str]],
    window_ms: int,
    *,
    whole: bool = False,
    say: Say | None = None,
) -> Feed[Any]:
    """Post a feed of transactions to one shard of the ledger; out come `Judged` values and `LedgerBalance` messages, or what
    `say` makes of the answers.

    Steps of several shards say under one `name` what they say.
    """
    if whole and len(postings.sources) > 1:
        msg = f"an epoch of {step_id} can end whole only if its postings come from one source, not from {postings.sources}"
        raise ValueError(msg)
    key = f"ledger-{shard:02d}"

    def build(resume: Snapshot | None) -> BookingLogic:
        started = (0, None, (), 0, 0) if resume is None else of_version(step_id, VERSION, resume)
        next_offset, merge, unanswered, heard_batch_id, newest_batch = started
        return BookingLogic(
            Merge[Transaction](postings.sources, merge and PACKING.unpack_merge(merge)),
            open_ledger(),
            watched,
            window_ms,
            next_offset=next_offset,
            unanswered=PACKING.unpack(unanswered),
            heard_batch_id=heard_batch_id,
            newest_batch=newest_batch,
            whole=whole,
            say=say,
        )

    keyed = op.map(f"{step_id}_to_shard", postings.stream, lambda progress: (key, progress))
    return Feed(named(step_id, op.stateful_batch(step_id, keyed, build), name), (f"{name}/{key}",))


def at_once(ledger: Ledger) -> OpenLedger:
    """Return a ledger that is posted to right here: for those that wait for nobody."""

    def post(transactions: Sequence[Transaction]) -> "Future[Booked]":
        done: Future[Booked] = Future()
        done.set_result(ledger.post(transactions))
        return done

    return OpenLedger(ledger, post)
