"""Recall: old legs come with what the ledger knows of their key, others cost nothing."""

from collections.abc import Sequence
from typing import Any

from domain.journal import Matter, Transaction
from domain.legs import leg_from, pairing_key
from domain.memory_ledger import MemoryLedger
from domain.pairing_effects import Arrival, KnownTrade, TradePaired, TradeUnpaired
from domain.streams import Progress, Record
from operators.posting import post_effect
from operators.recall import Memory, known_trades, recall
from tests.flows.streams import START_MS, leg, record
from tests.operators.steps import run_step

B, U = leg_from(leg("b1")), leg_from(leg("u1"))
KEY = pairing_key(B)


def booked(*effects: TradePaired | TradeUnpaired) -> list[Transaction]:
    """These effects as the ledger keeps them."""
    ledger = MemoryLedger()
    made = [post_effect(record(effect)) for effect in effects]
    ledger.post([transaction for transaction in made if transaction is not None])
    return ledger.transactions()


def paired(generation: int = 0) -> TradePaired:
    """The pair is booked."""
    return TradePaired(B, U, generation, KEY, "dealer.transactions/0", 1)


def unpaired(generation: int = 0) -> TradeUnpaired:
    """The pair is taken back."""
    return TradeUnpaired(B, U, generation, KEY, "dealer.transactions/0", 2)


class History:
    """A ledger's history that counts how often it is asked, and for how much."""

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self._transactions = transactions
        self.opened = 0
        self.asked: list[int] = []

    def open(self) -> Any:
        """Called once per worker."""
        self.opened += 1
        return self._correlated

    def _correlated(self, matters: Sequence[Matter]) -> list[Transaction]:
        self.asked.append(len(matters))
        spans = {matter.correlation_id: range(matter.since_ms, matter.until_ms) for matter in matters}
        return [one for one in self._transactions if one.effective_at_ms in spans.get(one.correlation_id, ())]


def recalled(history: History, memory: Memory, *batches: list[Record], batch_size: int = 10) -> list[Arrival]:
    """The arrivals that these legs become."""
    said = [Progress("dealer.transactions/0", START_MS, batch) for batch in batches]
    out = run_step(lambda up: recall("recall", up, history.open, memory), said, batch_size)
    assert len(batches) == len(out)
    return [r.value for progress in out for r in progress.records]


def test_known_trades_count_bookings_and_reversals() -> None:
    """A pair that was booked, taken back and booked again is known once, as live."""
    transactions = booked(paired(), unpaired(), paired(1))
    assert {KEY: (KnownTrade(KEY, B, U, 3),)} == known_trades(transactions)
    assert {KEY: (KnownTrade(KEY, B, U, 2),)} == known_trades(transactions[:2])
    assert {} == known_trades([])


def test_a_leg_from_before_this_run_brings_its_trades() -> None:
    """A record that an earlier run may have read comes with the booked trades of its key."""
    history = History(booked(paired()))
    arrivals = recalled(history, Memory(START_MS + 1, 600_000), [record(B)])
    assert [Arrival(B, (KnownTrade(KEY, B, U, 1),), KEY)] == arrivals


def test_a_leg_of_long_ago_brings_its_trades() -> None:
    """A leg that is older than the book's memory is looked up; one at its edge is not."""
    history, memory = History(booked(paired())), Memory(0, 1_000)
    old, edge = record(B, START_MS + 1_001), record(B, START_MS + 1_000)
    assert [1, 0] == [len(arrival.known) for arrival in recalled(history, memory, [old], [edge], batch_size=1)]


def test_a_recent_leg_costs_nothing() -> None:
    """When no leg needs it, the history is not even opened."""
    history = History(booked(paired()))
    assert [Arrival(B, (), KEY), Arrival(U, (), KEY)] == recalled(history, Memory(0, 600_000), [record(B)], [record(U)])
    assert (0, []) == (history.opened, history.asked)


def test_a_batch_is_one_question() -> None:
    """All old legs of a batch are looked up at once, each key once, over one history per worker."""
    history = History([])
    one, other = [record(B), record(U)], [record(leg_from(leg("b2", second=5)))]
    recalled(history, Memory(START_MS + 10_000, 0), one, other, one, batch_size=2)
    assert (1, [2, 1]) == (history.opened, history.asked)
