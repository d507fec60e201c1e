"""Pairing as a step: what an earlier run booked is told again, and only that."""

from itertools import groupby
from operator import itemgetter

from hypothesis import given
from hypothesis import strategies as st

from domain.pairing.effects import KnownTrade, LegWaits, TradePaired, TradeUnpaired, arrival_of
from domain.pairing.legs import Leg, leg_from, pairing_key
from domain.streams.records import Progress
from flows.liability import PAIRS
from operators.pairing import RetellingBook, pairing, retold
from operators.streams.feeds import Feed
from operators.streams.machines import machine
from tests.operators.steps import run_step
from tests.words import START_MS, leg, record

B, U, OTHER = (leg_from(leg(name)) for name in ("b1", "u1", "b2"))
KEY = pairing_key(B)


def known(count: int) -> KnownTrade:
    """The pair as the ledger holds it."""
    return KnownTrade(KEY, B, U, count)


@given(st.integers(0, 6))
def test_every_turn_of_a_known_trade_is_told_again(count: int) -> None:
    """Bookings and reversals alternate, each under the generation that it was first said with."""
    told = retold([record(arrival_of(U, (known(count),)), offset=4)])
    assert [(TradePaired, TradeUnpaired)[turn % 2] for turn in range(count)] == [type(effect) for effect in told]
    assert [turn // 2 for turn in range(count)] == [getattr(effect, "generation", None) for effect in told]


def test_a_trade_is_told_again_once() -> None:
    """Both legs of a known trade in one instant tell of it once."""
    arrivals = [record(arrival_of(one, (known(1),)), offset=offset) for offset, one in enumerate((B, U))]
    assert [TradePaired(B, U, 0, KEY, "dealer.transactions/0", 1)] == retold(arrivals)


def test_other_trades_of_its_key_are_not_told_again() -> None:
    """A leg that is new to a key does not stir up the trades of others."""
    assert [] == retold([record(arrival_of(OTHER, (known(1),)))])


def test_a_retelling_book_survives_a_restart() -> None:
    """A restored book tells again too, says that the leg waits no more, and has nothing new to say about what it knows."""
    book = RetellingBook.restore(RetellingBook().snapshot())
    effects = book.apply(START_MS, [record(arrival_of(B, (known(1),)))])
    assert [TradePaired, LegWaits] == [type(effect) for effect in effects]


def test_legs_pair_across_partitions() -> None:
    """Two legs of a trade meet, whatever partitions they come from."""
    sources = ("p/0", "p/1")
    legs = [
        Progress("p/0", START_MS + 5, [record(arrival_of(B), START_MS, 0, "p/0")]),
        Progress("p/1", START_MS + 5, [record(arrival_of(U), START_MS + 1, 0, "p/1")]),
    ]
    kind = pairing("closest", 60_000, 60_000)
    out = run_step(lambda up: machine("pair", Feed(up, sources), PAIRS, lambda _: "", kind).stream, legs, 1)
    effects = [r.value for progress in out for r in progress.records]
    assert [LegWaits, TradePaired, LegWaits] == [type(effect) for effect in effects]


def waits(book: RetellingBook, *words: tuple[int, Leg]) -> dict[str, str]:
    """The last word on each leg, of what a book says when legs come, each at its time in ms."""
    last = {}
    for at_ms, together in groupby(sorted(words, key=itemgetter(0)), key=itemgetter(0)):
        arrivals = [record(arrival_of(one), START_MS + at_ms, offset) for offset, (_, one) in enumerate(together)]
        effects = book.apply(START_MS + at_ms, arrivals)
        last |= {effect.leg.id: effect.state for effect in effects if isinstance(effect, LegWaits)}
    return last


def book_after(told_until_ms: int) -> RetellingBook:
    """A new book, where an earlier one has told of legs until then and was lost."""
    book = RetellingBook()
    book.told_until_ms = START_MS + told_until_ms
    return book


def test_a_leg_that_was_lost_while_it_waited_is_said_to_wait_no_more() -> None:
    """Its other half came late then, and comes in one instant with it now; of legs that came later nothing need be said."""
    assert {B.id: "waiting"} == waits(RetellingBook(), (0, B))
    assert {B.id: "paired", U.id: "paired"} == waits(book_after(5), (0, B), (0, U))
    assert {} == waits(book_after(-1), (0, B), (0, U))


WORDS = [(kind, number, status) for kind in "bu" for number in (1, 2) for status in ("PENDING", "SUCCESS", "FAILURE")]
TIMED = st.lists(st.tuples(st.sampled_from(WORDS), st.integers(0, 3), st.integers(0, 3)), max_size=8)


@given(TIMED, st.integers(0, 8))
def test_the_last_words_are_those_of_the_last_run(timed: list[tuple[tuple[str, int, str], int, int]], lost: int) -> None:
    """However the first run met the legs before it was lost, what was told last of each is what became of it in the second."""
    legs = [leg_from(leg(f"{kind}{number}", status=status)) for (kind, number, status), _, _ in timed]
    first = [(at_ms, one) for (_, at_ms, _), one in zip(timed, legs, strict=True)][:lost]
    second = [(at_ms, one) for (_, _, at_ms), one in zip(timed, legs, strict=True)]
    book = book_after(3)
    last = waits(RetellingBook(), *first) | waits(book, *second)
    assert {name: state for name, state in last.items() if state in ("waiting", "pending")} == {
        name: waiting.state for name, waiting in book._waiting
    }
