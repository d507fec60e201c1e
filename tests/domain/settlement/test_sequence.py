"""The chain of a symbol: every trade in its order, once, and nothing skipped."""

from hypothesis import given
from hypothesis import strategies as st

from domain.settlement.sequence import HASHES_MAX, Broken, Chain, Duplicate, Link, Missing, Released, Step

COUNT = 8


def link(number: int, previous: str | None = None, own: str | None = None) -> Link[int]:
    """A trade whose hash is its number, and which names that of the one before it."""
    return Link(number, str(number - 1) if previous is None else previous, own or str(number), number)


def taken(chain: Chain[int], *links: Link[int]) -> list[Step[int]]:
    """What follows from trades, one after the other."""
    return [step for one in links for step in chain.take(one)]


@given(st.permutations(range(1, COUNT + 1)), st.lists(st.integers(1, COUNT), max_size=COUNT))
def test_every_trade_is_released_once_in_order(order: list[int], again: list[int]) -> None:
    """However they come and however often; what is missing is told of once, before it comes."""
    arrivals = [*order[: COUNT // 2], *again, *order[COUNT // 2 :], *again]
    steps = taken(Chain(), *map(link, arrivals))
    assert list(range(1, COUNT + 1)) == [step.link.sequence for step in steps if isinstance(step, Released)]
    missing = [step.sequence for step in steps if isinstance(step, Missing)]
    assert len(missing) == len(set(missing))
    duplicates = [step.is_same for step in steps if isinstance(step, Duplicate)]
    assert [True] * (len(arrivals) - COUNT) == duplicates


def test_another_trade_under_a_number_is_told_apart() -> None:
    """Also while the first one waits for others; one that is forgotten is nothing that anybody can tell."""
    chain = Chain[int]()
    others = taken(chain, link(1), link(3), link(1, own="x"), link(3, own="x"))
    assert [False, False] == [step.is_same for step in others if isinstance(step, Duplicate)]
    late = Chain[int](99, "99")
    assert [None] == [step.is_same for step in taken(late, link(98)) if isinstance(step, Duplicate)]


def test_a_broken_link_stops_the_symbol_until_the_right_one_comes() -> None:
    """What came after it waits, and follows then."""
    chain = Chain[int]()
    steps = taken(chain, link(1), link(2, previous="x"), link(3))
    assert [Released(link(1)), Broken(link(2, previous="x"), "1")] == steps
    assert 2 == chain.broken_at
    assert [Released(link(2)), Released(link(3))] == taken(chain, link(2))
    assert chain.broken_at is None


def test_what_is_remembered_is_bounded() -> None:
    """A chain that lives for ever does not grow."""
    chain = Chain[int]()
    taken(chain, *map(link, range(1, HASHES_MAX + 10)))
    assert HASHES_MAX == len(chain._hashes)
    assert {} == chain.kept
