"""Books postings in the middle of a flow, so that everything downstream acts on what was committed.

The step takes the ledger as an argument, by the shape that `domain.journal.Ledger` defines; it is the one step that does
more than compute. It merges its sources by stream time, posts what is complete, and answers with a verdict per posting and the
balances that changed. A posting that is repeated after a crash is found to be a duplicate and its present balances are
given again. Once a second of stream time it says again what the watched balances are, so that whoever decides on them can
tell a balance that did not change from a ledger that has fallen silent.

While the database writes one run of postings the flow goes on with the next: at most one run is on its way, its answers
come with the run after it or as soon as they are there, and until then they are part of the step's snapshot.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from itertools import groupby
from typing import Any, NamedTuple

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.journal import Balance, Booked, Ledger, Transaction, Verdict
from domain.merge import Merge
from domain.messages import LedgerBalance
from domain.streams import FOREVER_MS, Progress, Record
from operators.machines import Answers, as_progress

Work = Callable[[], list[Booked]]
Submit = Callable[[Work], "Future[list[Booked]]"]
"""Runs work now or in the background; one after the other."""

HEARTBEAT_MS = 1000


class OpenLedger(NamedTuple):
    """A ledger that was opened for one step, and who does its work."""

    ledger: Ledger
    submit: Submit


class Judged(NamedTuple):
    """A posting and what became of it."""

    transaction: Transaction
    verdict: Verdict


class Run(NamedTuple):
    """Postings on their way to the database, in the batches that they are posted in."""

    windows: list[list[Record]]
    booked: "Future[list[Booked]]"


class BookingLogic(StatefulBatchLogic[Progress, Answers, tuple[Any, ...]]):
    """The writer of one ledger shard.

    `window_ms` is how much stream time one batch may span: 1 makes what is emitted independent of how the stream was cut,
    more makes it fast. `unanswered` are the records of a snapshot whose answers were still to come.
    """

    def __init__(
        self,
        merge: Merge,
        opened: OpenLedger,
        watched: Sequence[tuple[str, str]],
        window_ms: int,
        *,
        next_offset: int = 0,
        unanswered: Sequence[Record] = (),
    ) -> None:
        self._merge = merge
        self._ledger, self._submit = opened
        self._window_ms = window_ms
        self._next_offset = next_offset
        self._unanswered = list(unanswered)
        self._run: Run | None = None
        self._said_ms = -1
        # Accounts that were never booked are worth zero; whoever decides on them must hear it.
        self._watched = {key: Balance(*key, 0, 0, 0, 0, 0, 0, 0) for key in watched}
        self._heartbeat_due_ms = 0
        self._opening: list[Balance] | None = list(self._ledger.balances())

    def on_batch(self, values: list[Progress]) -> tuple[Iterable[Answers], bool]:
        """Post what is complete now; answer what was posted before, as soon as it is."""
        for progress in values:
            self._merge.add(progress)
        released = [*self._unanswered, *self._merge.release()]
        self._unanswered = []
        answers = [*self._opened(), *(self._answered() if released else ())]
        if released:
            self._post(released)
        if self._run is not None and self._run.booked.done():
            answers += self._answered()
        return self._say(answers), False

    def on_eof(self) -> tuple[Iterable[Answers], bool]:
        """Nothing more comes: answer what is on its way."""
        if self._unanswered:
            self._post(self._unanswered)
            self._unanswered = []
        return self._say(list(self._answered())), False

    def _say(self, answers: list[tuple[int, Any]]) -> list[Answers]:
        if self._run is not None:
            # What is on its way is not answered, so time has not passed it yet.
            watermark_ms = max(self._said_ms, min(window[0].at_ms for window in self._run.windows))
        else:
            watermark_ms = self._merge.watermark_ms
            answers += self._heartbeat()
        if not answers and watermark_ms <= self._said_ms:
            return []
        said = Answers(watermark_ms, self._next_offset, answers)
        self._said_ms = watermark_ms
        self._next_offset += len(answers)
        return [said]

    def _opened(self) -> Iterator[tuple[int, Any]]:
        balances, self._opening = self._opening, None
        at_ms = self._merge.watermark_ms
        for balance in balances or ():
            yield self._noted(balance, at_ms if 0 <= at_ms < FOREVER_MS else 0)

    def _post(self, released: list[Record]) -> None:
        windows = [list(window) for _, window in groupby(released, key=lambda record: record.at_ms // self._window_ms)]
        batches = [[record.value for record in window] for window in windows]
        self._run = Run(windows, self._submit(lambda: [self._ledger.post(batch) for batch in batches]))

    def _answered(self) -> Iterator[tuple[int, Any]]:
        run, self._run = self._run, None
        for window, booked in zip(run.windows, run.booked.result(), strict=True) if run else ():
            for record, verdict in zip(window, booked.verdicts, strict=True):
                yield record.at_ms, Judged(record.value, verdict)
            for balance in booked.balances:
                yield self._noted(balance, window[-1].at_ms)

    def _noted(self, balance: Balance, at_ms: int) -> tuple[int, LedgerBalance]:
        key = (balance.account, balance.currency)
        if key in self._watched:
            self._watched[key] = balance
        return at_ms, to_message(balance, at_ms)

    def _heartbeat(self) -> Iterator[tuple[int, Any]]:
        now_ms = self._merge.watermark_ms
        if self._heartbeat_due_ms <= now_ms < FOREVER_MS:
            self._heartbeat_due_ms = now_ms + HEARTBEAT_MS
            for balance in self._watched.values():
                yield now_ms, to_message(balance, now_ms)

    def snapshot(self) -> tuple[Any, ...]:
        """Waits for what is on its way: an epoch ends with its postings booked, answered or not."""
        unanswered = [tuple(record) for record in self._unanswered]
        if self._run is not None:
            self._run.booked.result()
            unanswered += [tuple(record) for window in self._run.windows for record in window]
        return self._next_offset, self._merge.snapshot(), unanswered


def to_message(balance: Balance, as_of_ms: int) -> LedgerBalance:
    """A balance as it goes out, debits positive."""
    return LedgerBalance(
        account=balance.account,
        currency=balance.currency,
        version=balance.version,
        settled=balance.settled,
        pending=balance.pending_debit - balance.pending_credit,
        encumbered=balance.encumbered_debit - balance.encumbered_credit,
        as_of=as_of_ms,
    )


@operator
def book(
    step_id: str,
    up: KeyedStream[Progress],
    sources: list[str],
    open_ledger: Callable[[], OpenLedger],
    watched: list[tuple[str, str]],
    window_ms: int,
) -> KeyedStream[Progress]:
    """Post the transactions of `sources`; out come `Judged` values and `LedgerBalance` messages."""

    def build(resume: tuple[Any, ...] | None) -> BookingLogic:
        next_offset, merge, unanswered = resume or (0, None, ())
        records = [Record(*record) for record in unanswered]
        return BookingLogic(
            Merge(sources, merge), open_ledger(), watched, window_ms, next_offset=next_offset, unanswered=records
        )

    return as_progress("progress", op.stateful_batch("ledger", up, build), "book")


def at_once(work: Work) -> "Future[list[Booked]]":
    """Submit by doing the work right here, for ledgers that wait for nobody."""
    done: Future[list[Booked]] = Future()
    done.set_result(work())
    return done
