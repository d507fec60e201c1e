"""What the ledger need not be asked about: it is certain that the ledger knows nothing of it."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from domain.ledger.body import meta_text
from domain.ledger.journal import Transaction
from domain.pairing.booked import BookedLegs, BookedTrade, booked_trades

NAMES = st.text("abc", min_size=1, max_size=3)
TRADES = st.lists(st.builds(BookedTrade, st.tuples(NAMES, NAMES), st.integers(0, 99)), max_size=8)


def posting(trade: BookedTrade) -> Transaction:
    """A user trade as it is posted."""
    btc, usd = trade.leg_ids
    meta = meta_text({"btc_leg": {"id": btc, "amount": 1}, "usd_leg": {"id": usd, "amount": 1}, "generation": 0})
    return Transaction("id", "USER_BUYS_USD", trade.second * 1000 + 999, (), "", "", 0, meta)


@given(TRADES, TRADES, st.lists(NAMES))
def test_a_leg_that_was_noted_is_always_asked_for(
    before: list[BookedTrade], since: list[BookedTrade], others: Sequence[str]
) -> None:
    """However many share a bit, none that was noted is missed; and everything is effective before the time that is told."""
    booked = BookedLegs(8)
    booked.begin(before)
    booked.take_up([])
    booked.note(map(posting, since))
    booked.complete()
    noted = [leg_id for trade in (*before, *since) for leg_id in trade.leg_ids]
    assert noted == booked.among(noted)
    assert set(booked.among(others)) <= set(others)
    assert booked.before_ms == max((trade.second + 1 for trade in before), default=0) * 1000


@given(TRADES, st.lists(NAMES))
def test_until_all_is_noted_every_leg_is_asked_for(before: list[BookedTrade], others: Sequence[str]) -> None:
    """What is not complete spares nothing."""
    booked = BookedLegs()
    booked.begin(before)
    assert others == booked.among(others)
    assert booked.before_ms is None


def test_a_new_leg_is_hardly_ever_asked_for() -> None:
    """With a thousand bits to a leg nearly all that are new are known to be new."""
    booked = BookedLegs(2**20)
    booked.begin([BookedTrade((f"b{number}", f"u{number}"), 0) for number in range(500)])
    booked.take_up([])
    booked.complete()
    assert len(booked.among([f"new-{number}" for number in range(1_000)])) < 20


@given(TRADES)
def test_the_legs_of_a_posting_are_those_of_its_trade(trades: list[BookedTrade]) -> None:
    """A posting tells the legs that it names and the second in which it is effective; one without legs tells nothing."""
    other = Transaction("id", "FEE", 0, (), "", "", 0, meta_text({"reason": "tea"}))
    found = booked_trades([*map(posting, trades), other])
    assert [(sorted(one.leg_ids), one.second) for one in trades] == [(sorted(one.leg_ids), one.second) for one in found]


def test_legs_are_spared_when_the_last_of_several_writers_has_begun() -> None:
    """All must have their shards before history is read, and have noted what they post for an earlier run."""
    booked = BookedLegs(2**20, writers=2)
    assert [False, True] == [booked.taken(), booked.taken()]
    booked.take_up([])
    booked.complete()
    assert ["u1"] == booked.among(["u1"])
    booked.take_up([BookedTrade(("b2", "u2"), 3)])
    assert ["u2"] == booked.among(["u1", "u2"])
    assert booked.before_ms == 4_000
