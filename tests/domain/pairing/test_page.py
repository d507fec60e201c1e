"""A page of the pairing book: what to reverse and to book, and generations that are counted."""

import pytest

from domain.pairing.effects import KnownTrade
from domain.pairing.legs import Leg
from domain.pairing.page import Change, Page


def leg(name: str, memo: str | None = None) -> Leg:
    """A leg from its name, `b7@100`: b for bitcoin or u for dollars, an id, and its worth in cents."""
    leg_id, cents = name.split("@")
    currency, direction = ("BTC", "RECEIVE") if leg_id[0] == "b" else ("USD", "SEND")
    return Leg(leg_id, 1_000, "SUCCESS", direction, currency, int(cents), "m", memo, int(cents))


def page(names: str, memo: str | None = None) -> Page:
    """A page with these legs."""
    made = Page(0)
    for name in names.split():
        made.put(leg(name, memo))
    return made


@pytest.mark.parametrize("memo", [None, "JournalId:1"])
def test_better_leg_changes_the_pair(memo: str | None) -> None:
    """A page settles once, rests while nothing comes, and gives up a pair for a better one."""
    made = page("b1@5 u1@6", memo)
    assert Change([], [("b1", "u1")]) == made.settle_closest()
    made.turn(("b1", "u1"))
    assert Change([], []) == made.settle_closest()
    made.put(leg("u2@5", memo))
    assert Change([("b1", "u1")], [("b1", "u2")]) == made.settle_closest()
    assert made.partners == {"b1": "u2", "u2": "b1"}


def test_first_rule_keeps_the_pair() -> None:
    """Under the reference's rule a pair stays, whatever comes."""
    made = page("b1@5 u1@6")
    assert Change([], [("b1", "u1")]) == made.settle_first()
    made.turn(("b1", "u1"))
    made.put(leg("u2@5"))
    assert Change([], []) == made.settle_first()


def test_generations_are_counted() -> None:
    """A booking and its reversal have one generation, the next booking has the next."""
    made = page("b1@5 u1@5")
    assert [made.turn(("b1", "u1")) for _ in range(5)] == [0, 0, 1, 1, 2]


def test_knowledge_merges_by_the_larger_count() -> None:
    """Of two memories of a pair the one that has seen more holds."""
    made = page("b1@5 u1@5")
    for count in (3, 1, 2):
        made.know(KnownTrade("key", leg("b1@5"), leg("u1@5"), count))
    assert made.counts == {("b1", "u1"): 3}
    assert Change([], []) == made.settle_closest()


def test_a_count_never_goes_back() -> None:
    """A memory that has seen less of a pair may say what its legs were, and how often the pair was booked stays as it is."""
    made = page("b1@5 u1@6")
    for count in (3, 2):
        made.know(KnownTrade("key", leg("b1@5"), leg(f"u1@{count}"), count))
    assert ({("b1", "u1"): 3}, 2) == (made.counts, made.legs["u1"].cents)


def test_two_live_pairs_of_one_leg_are_put_right() -> None:
    """Should a ledger hold two live pairs of one leg, the worse is reversed."""
    made = Page(0)
    made.know(KnownTrade("key", leg("b1@5"), leg("u1@6"), 1))
    made.know(KnownTrade("key", leg("b1@5"), leg("u2@5"), 1))
    assert Change([("b1", "u1")], []) == made.settle_closest()


def test_frozen_page_thaws_as_it_was() -> None:
    """A page is plain tuples when frozen, and goes on as before when thawed."""
    made = page("b1@5 u1@6 b2@9")
    for pair in made.settle_closest().take:
        made.turn(pair)
    thawed = Page.thaw(made.freeze())
    assert made.freeze() == thawed.freeze()
    for one in (made, thawed):
        one.put(leg("u2@5"))
    assert made.settle_closest() == thawed.settle_closest()
    assert made.freeze() == thawed.freeze()
