"""Books postings in the middle of a flow, so that everything downstream acts on what was committed.

The step takes the ledger as an argument, by the shape that `domain.journal.Ledger` defines; it is the one step that does more
than compute. It merges its sources by stream time, posts what is complete, and answers with a verdict per posting and the
balances that changed. A posting that is repeated after a crash is found to be a duplicate and its present balances are
given again. Once a second of stream time it says again what the watched balances are, so that whoever decides on them can
tell a balance that did not change from a ledger that has fallen silent.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import bytewax.operators as op
from bytewax.dataflow import operator
from bytewax.operators import KeyedStream, StatefulBatchLogic

from domain.journal import Balance, Ledger, Transaction, Verdict
from domain.merge import Merge
from domain.messages import LedgerBalance
from domain.streams import FOREVER_MS, Progress, Record
from operators.machines import Answers, as_progress

OpenLedger = Callable[[], Ledger]
HEARTBEAT_MS = 1000


class Judged(NamedTuple):
    """A posting and what became of it."""

    transaction: Transaction
    verdict: Verdict


class BookingLogic(StatefulBatchLogic[Progress, Answers, tuple[Any, ...]]):
    """The writer of one ledger shard. `window_ms` is how much stream time one batch may span: 1 makes what is emitted
    independent of how the stream was cut, more makes it fast."""

    def __init__(
        self, merge: Merge, ledger: Ledger, watched: Sequence[tuple[str, str]], window_ms: int, next_offset: int = 0
    ) -> None:
        self._merge = merge
        self._ledger = ledger
        self._window_ms = window_ms
        self._next_offset = next_offset
        # Accounts that were never booked are worth zero; whoever decides on them must hear it.
        self._watched = {key: Balance(*key, 0, 0, 0, 0, 0, 0, 0) for key in watched}
        self._heartbeat_due_ms = 0
        self._opening: list[Balance] | None = list(ledger.balances())

    def on_batch(self, values: list[Progress]) -> tuple[Iterable[Answers], bool]:
        before_ms = self._merge.watermark_ms
        for progress in values:
            self._merge.add(progress)
        released = self._merge.release()
        answers = [*self._opened(), *self._booked(released), *self._heartbeat()]
        if not answers and self._merge.watermark_ms == before_ms:
            return (), False
        said = Answers(self._merge.watermark_ms, self._next_offset, answers)
        self._next_offset += len(answers)
        return [said], False

    def _opened(self) -> Iterator[tuple[int, Any]]:
        balances, self._opening = self._opening, None
        for balance in balances or ():
            yield self._said(balance, max(0, self._merge.watermark_ms) if self._merge.watermark_ms < FOREVER_MS else 0)

    def _booked(self, released: list[Record]) -> Iterator[tuple[int, Any]]:
        window_ms = self._window_ms
        for _, window in groupby(released, key=lambda record: record.at_ms // window_ms):
            yield from self._post(list(window))

    def _post(self, records: list[Record]) -> Iterator[tuple[int, Any]]:
        verdicts, balances = self._ledger.post([record.value for record in records])
        for record, verdict in zip(records, verdicts, strict=True):
            yield record.at_ms, Judged(record.value, verdict)
        for balance in balances:
            yield self._said(balance, records[-1].at_ms)

    def _said(self, balance: Balance, at_ms: int) -> tuple[int, LedgerBalance]:
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
        return self._next_offset, self._merge.snapshot()

    def close(self) -> None:
        """Give the ledger back."""
        self._ledger.close()


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
    open_ledger: OpenLedger,
    watched: list[tuple[str, str]],
    window_ms: int,
) -> KeyedStream[Progress]:
    """Post the transactions of `sources`; out come `Judged` values and `LedgerBalance` messages."""

    def build(resume: tuple[Any, ...] | None) -> BookingLogic:
        next_offset, merge = resume or (0, None)
        return BookingLogic(Merge(sources, merge), open_ledger(), watched, window_ms, next_offset)

    return as_progress("progress", op.stateful_batch("ledger", up, build), "book")
