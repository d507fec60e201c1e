"""Recall: every leg comes with the trades that it is in, and an old one with all that the ledger knows of its key."""

from collections.abc import Sequence

from domain.ledger.journal import History, Matter, Transaction
from domain.ledger.memory import MemoryLedger
from domain.pairing.booked import BookedLegs
from domain.pairing.effects import Arrival, KnownTrade, TradePaired, TradeUnpaired, arrival_of
from domain.pairing.legs import leg_from, pairing_key
from domain.postings.trades import post_effect
from domain.streams.records import Progress, Record
from domain.templates.reversal import reversal
from operators.recall import Memory, known_trades, recall
from operators.streams.feeds import Feed
from tests.operators.steps import run_step
from tests.words import START_MS, leg, record

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


class Asked:
    """A ledger's history that counts how often it is opened, and what it is asked for: matters and legs."""

    def __init__(self, transactions: Sequence[Transaction]) -> None:
        self._ledger = MemoryLedger()
        self._ledger.post(transactions)
        self.opened = 0
        self.matters: list[int] = []
        self.legs: list[list[str]] = []

    def open(self) -> History:
        """Called once per worker."""
        self.opened += 1
        return History(self._of_matters, self._of_legs)

    def _of_matters(self, matters: Sequence[Matter]) -> Sequence[Transaction]:
        self.matters.append(len(matters))
        return self._ledger.history().of_matters(matters)

    def _of_legs(self, leg_ids: Sequence[str]) -> Sequence[Transaction]:
        self.legs.append([*leg_ids])
        return self._ledger.history().of_legs(leg_ids)


def recalled(history: Asked, memory: Memory, *batches: list[Record], batch_size: int = 10) -> list[Arrival]:
    """The arrivals that these legs become."""
    arrived = [[one._replace(value=arrival_of(one.value)) for one in batch] for batch in batches]
    said = [Progress("dealer.transactions/0", START_MS, batch) for batch in arrived]
    out = run_step(lambda up: recall("recall", Feed(up, ()), history.open, memory, BookedLegs(8)).stream, said, batch_size)
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
    history = Asked(booked(paired()))
    arrivals = recalled(history, Memory(START_MS + 1, 600_000), [record(B)])
    assert [Arrival(B, (KnownTrade(KEY, B, U, 1),), KEY)] == arrivals


def test_the_key_of_a_leg_of_long_ago_is_asked_for() -> None:
    """A leg that is older than the book's memory, or that was read before this run, is looked up by its key; others are not."""
    other = leg_from(leg("b2"))
    history, memory = Asked(booked(paired())), Memory(START_MS, 1_000)
    times = {START_MS + 1_001: 1, START_MS + 1_000: 0, START_MS - 1: 1}
    found = recalled(history, memory, *([record(other, at_ms)] for at_ms in times), batch_size=1)
    assert [*times.values()] == [len(arrival.known) for arrival in found]
    before = recalled(history, Memory(START_MS + 1, 1_000), [record(other, START_MS + 5)])
    assert [1] == [len(arrival.known) for arrival in before]


def test_a_leg_that_is_told_again_in_another_second_brings_its_trades() -> None:
    """Whatever its key is now, and however recent it looks, it comes with the trade that it is in, under the key of then."""
    history, again = Asked(booked(paired())), leg_from(leg("b1", second=7))
    (arrival,) = recalled(history, Memory(0, 600_000), [record(again)])
    assert Arrival(again, (KnownTrade(KEY, B, U, 1),), pairing_key(again)) == arrival


def test_a_booked_leg_brings_its_whole_page() -> None:
    """Trades of others under the key come along, for what is best of a part need not be best of the whole."""
    b2, u2 = leg_from(leg("b2", 7)), leg_from(leg("u2", 7))
    history = Asked(booked(paired(), TradePaired(b2, u2, 0, KEY, "dealer.transactions/0", 3)))
    (arrival,) = recalled(history, Memory(0, 600_000), [record(leg_from(leg("u1", second=5)))])
    assert (KnownTrade(KEY, B, U, 1), KnownTrade(KEY, b2, u2, 1)) == arrival.known


def test_what_a_person_took_back_stays_known_as_booked() -> None:
    """The reversal has no legs; the pair is not booked again by itself."""
    (trade,) = booked(paired())
    back = reversal(trade, trade.effective_at_ms)
    assert back is not None
    assert {KEY: (KnownTrade(KEY, B, U, 1),)} == known_trades([trade, back])


def test_a_batch_is_one_question() -> None:
    """All legs of a batch are looked up at once, and all old keys, each once, over one history per worker."""
    history = Asked([])
    one, other = [record(B), record(U)], [record(leg_from(leg("b2", second=5)))]
    recalled(history, Memory(START_MS + 10_000, 0), one, other, one, batch_size=2)
    assert (1, [2, 1], [["b1", "u1", "b2"], ["b1", "u1"]]) == (history.opened, history.matters, history.legs)


def test_a_recent_leg_brings_nothing() -> None:
    """Legs that nothing was booked of come as they are, and no key is asked for."""
    history = Asked([])
    assert [Arrival(B, (), KEY), Arrival(U, (), KEY)] == recalled(history, Memory(0, 600_000), [record(B)], [record(U)])
    assert [] == history.matters
