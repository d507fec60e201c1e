"""Where the time of a trade goes: every stage of the liability flow by itself, in this process, without engine or broker."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from app.bench.load import trade_lines
from app.workers.worker import collect_rarely
from domain import topics
from domain.ledger.accounts import CHART
from domain.ledger.books import Books
from domain.ledger.fold import advance, fold
from domain.ledger.journal import Judged, Transaction
from domain.pairing.effects import Arrival, Effect
from domain.postings.trades import post_effect
from domain.streams.records import FOREVER_MS, Progress, RawBatch, RawMessage, Record, source_name
from operators import announce
from operators.legs import arrival_from, quick_arrival
from operators.pairing import pairing
from operators.streams.decode import decoder
from operators.streams.machines import resumed
from sinks.ledger.rows import render

SOURCE = source_name(topics.DEALER_TRANSACTIONS.name, 0)
TRADES_PER_MS = 20
BATCH = 2_000


def stages_us(trades: int) -> dict[str, float]:
    """Microseconds per trade, by stage, in the order of the flow."""
    took: dict[str, float] = {}
    collect_rarely()

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        result = work()
        took[name] = round((time.perf_counter() - began) / trades * 1e6, 2)
        return result

    decode, raw = decoder(topics.DEALER_TRANSACTIONS, arrival_from, quick_arrival), _raw(trades)
    legs: Progress[Arrival] = timed("decode", lambda: decode(raw)[0])
    pairs: list[Record[Effect]] = timed("pair", lambda: _pair(legs.records))
    postings: list[Transaction] = timed("post", lambda: [made for r in pairs if (made := post_effect(r)) is not None])
    judged: list[Record[Judged]] = timed("fold_and_render", lambda: _fold(postings))
    timed("announce", lambda: [announce.user_trade(record.value.transaction, record.at_ms) for record in judged])
    return took


def _raw(trades: int) -> RawBatch:
    start_ms = 1_700_000_000_000
    lines = ((number, line) for number, legs in enumerate(trade_lines("stage", 0, trades, start_ms)) for line in legs)
    messages = [RawMessage(n, start_ms + number // TRADES_PER_MS, None, line) for n, (number, line) in enumerate(lines)]
    return RawBatch(topics.DEALER_TRANSACTIONS.name, 0, FOREVER_MS, messages)


def _pair(arrivals: Sequence[Record[Arrival]]) -> list[Record[Effect]]:
    logic = resumed("pair", [SOURCE], pairing("closest", 600_000, 10_000), None)
    said, _ = logic.on_batch([Progress(SOURCE, FOREVER_MS, arrivals)])
    return [Record(at_ms, "pair/0", n, effect) for answers in said for n, (at_ms, effect) in enumerate(answers.answers)]


def _fold(postings: list[Transaction]) -> list[Record[Judged]]:
    books = Books({account.code: account for account in CHART}, {})
    judged: list[Record[Judged]] = []
    for start in range(0, len(postings), BATCH):
        batch = postings[start : start + BATCH]
        folded = fold(books, batch)
        render(books, folded)
        advance(books, folded)
        judged += [Record(0, "book/0", 0, Judged(t, v)) for t, v in zip(batch, folded.verdicts, strict=True)]
    return judged
