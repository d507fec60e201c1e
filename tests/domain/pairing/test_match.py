"""Pairing: the closest, a function of the set; and the reference's first that fits, in the order of the list."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.pairing.legs import Leg
from domain.pairing.match import Trade, match_closest, match_first, trade_from


def leg(name: str, memo: str | None = None) -> Leg:
    """A leg from its name, `b7@100`: b for bitcoin or u for dollars, an id, and its worth in cents."""
    leg_id, cents = name.split("@")
    currency, direction = ("BTC", "RECEIVE") if leg_id[0] == "b" else ("USD", "SEND")
    return Leg(leg_id, 1_000, "SUCCESS", direction, currency, int(cents), "m", memo, int(cents))


NAMES = st.lists(
    st.builds("{}{}@{}".format, st.sampled_from("bu"), st.integers(0, 99), st.integers(1, 7)),
    max_size=16,
    unique_by=lambda name: name.split("@")[0],
)
MEMOS = st.sampled_from((None, "JournalId:1"))


def ids(pairs: list[tuple[Leg, Leg]]) -> set[str]:
    """Pairs in short."""
    return {f"{btc.id}-{usd.id}" for btc, usd in pairs}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("", ""),
        ("b1@5", ""),
        ("b1@5 u1@5", "b1-u1"),
        ("b1@5 u1@6", "b1-u1"),
        ("b1@5 u1@7", ""),
        ("b1@5 u1@6 u2@5", "b1-u2"),
        ("b1@5 b2@5 u1@5 u2@5", "b1-u1 b2-u2"),
        ("b1@5 b2@6 u1@6 u2@5", "b1-u2 b2-u1"),
        ("b1@5 u1@4 u2@6", "b1-u1"),
        ("b1@5 u2@4 u1@6", "b1-u2"),
        ("u1@4 b1@5 u2@6 b2@7", "b1-u1 b2-u2"),
        ("b1@4 b2@5 u1@5 u2@6", "b1-u1 b2-u2"),
        ("b1@4 b2@5 u1@5 b3@6 u2@6", "b2-u1 b3-u2"),
        ("b1@4 b2@5 u1@5 b3@6 u2@6 u3@7", "b1-u1 b2-u2 b3-u3"),
        ("u1@4 b1@5 u2@5 b2@5 b3@6 u3@7", "b1-u2 b2-u1 b3-u3"),
        ("b1@4 b2@6 u1@6 u2@7", "b2-u1"),
        ("b2@5 b1@5 u1@6", "b1-u1"),
    ],
)
def test_closest(names: str, expected: str) -> None:
    """As many as can be, then the least gaps, then the least worth, then the ids."""
    assert {*expected.split()} == ids(match_closest(map(leg, names.split())))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("b1@5 u1@900", "b1-u1"),
        ("b1@5 u1@900 u2@7", "b1-u2"),
        ("b1@5 b2@90 u1@91 u2@1", "b1-u2 b2-u1"),
        ("b1@10 b2@14 u1@13 u2@30", "b1-u1 b2-u2"),
        ("b1@10 b2@14 u1@13", "b2-u1"),
        ("b1@10 b2@10 u1@20 u2@20 u3@10", "b1-u3 b2-u1"),
    ],
)
def test_closest_in_a_journal(names: str, expected: str) -> None:
    """Where the memo names the trade any difference pairs, and the smallest sum of them wins."""
    assert {*expected.split()} == ids(match_closest(leg(name, "JournalId:1") for name in names.split()))


@given(NAMES, MEMOS, st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(names: list[str], memo: str | None, random: object) -> None:
    """The closest match is the same for any order of the legs, however often each is given."""
    legs = [leg(name, memo) for name in names]
    shuffled = legs + legs[::2]
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert match_closest(legs) == match_closest(shuffled)


def least(btc: tuple[int, ...], usd: tuple[int, ...], gap_max: int) -> tuple[int, int]:
    """The most pairs that there can be, negative, and the smallest sum of gaps of so many: every way is tried."""
    if not btc:
        return 0, 0
    ways = [least(btc[1:], usd, gap_max)]
    for index, cents in enumerate(usd):
        if abs(cents - btc[0]) <= gap_max:
            count, gaps = least(btc[1:], usd[:index] + usd[index + 1 :], gap_max)
            ways.append((count - 1, gaps + abs(cents - btc[0])))
    return min(ways)


@given(NAMES, MEMOS)
def test_no_other_match_has_more_pairs_or_smaller_gaps(names: list[str], memo: str | None) -> None:
    """Each leg is used once, all pairs fit, and of all matches there are none pairs more, or as many closer."""
    legs = [leg(name, memo) for name in names[:11]]
    pairs = match_closest(legs)
    used = [one.id for pair in pairs for one in pair]
    assert len(used) == len({*used})
    assert all((btc.currency, usd.currency) == ("BTC", "USD") for btc, usd in pairs)
    gaps = [abs(btc.cents - usd.cents) for btc, usd in pairs]
    assert memo or not [gap for gap in gaps if gap > 1]
    worths = {currency: tuple(one.cents for one in legs if one.currency == currency) for currency in ("BTC", "USD")}
    assert least(worths["BTC"], worths["USD"], 99 if memo else 1) == (-len(pairs), sum(gaps))


@given(st.lists(st.tuples(st.integers(1, 5), st.sampled_from((-1, 0, 0, 1))), max_size=40))
def test_no_trade_of_a_crowded_second_stays_without_its_other_half(trades: list[tuple[int, int]]) -> None:
    """However many trades stand within few cents, and whichever of their legs are a cent off, none is left over."""
    legs = [leg(f"b{number}@{cents + off}") for number, (cents, off) in enumerate(trades) if cents + off]
    legs += [leg(f"u{number}@{cents}") for number, (cents, off) in enumerate(trades) if cents + off]
    assert len(legs) == 2 * len(match_closest(legs))


@given(NAMES)
def test_of_legs_of_one_worth_the_first_by_id_are_paired(names: list[str]) -> None:
    """No leg waits while another of its worth and currency, with a greater id, has a partner."""
    legs = [leg(name) for name in names]
    paired = {one.id for pair in match_closest(legs) for one in pair}
    for one, other in product(legs, legs):
        if (one.currency, one.cents) == (other.currency, other.cents) and one.id < other.id:
            assert one.id in paired or other.id not in paired


@given(NAMES)
def test_first_match_is_the_walk_through_the_list(names: list[str]) -> None:
    """The fast way to the first that fits is the plain walk of the reference."""
    legs = [leg(name) for name in names]
    rest, expected = [*legs], []
    while rest:
        one = rest.pop(0)
        fits = (other for other in rest if other.currency != one.currency and abs(other.cents - one.cents) <= 1)
        other = next(fits, None)
        if other is not None:
            rest.remove(other)
            expected.append((one, other) if one.currency == "BTC" else (other, one))
    assert expected == match_first(legs)


def test_first_match_takes_the_worse_that_is_earlier() -> None:
    """What the reference pairs wrongly, the closest match pairs rightly."""
    legs = [leg("b1@2000"), leg("u1@2001"), leg("u2@2000")]
    assert ({"b1-u1"}, {"b1-u2"}) == (ids(match_first(legs)), ids(match_closest(legs)))


def test_thousands_in_one_second_are_quick() -> None:
    """Both rules take long lists, of one worth or of a chain of worths, without going through all pairs."""
    for legs in (
        [leg(f"{'bu'[index % 2]}{index:05d}@7") for index in range(20_000)],
        [leg(f"{'bu'[index % 2]}{index:05d}@{index}") for index in range(20_000)],
    ):
        assert 10_000 == len(match_closest(legs)) == len(match_first(legs))


def test_trade_of_two_legs() -> None:
    """The trade names what the user buys and what moved, in positive minor units."""
    btc, usd = leg("b1@2001")._replace(amount=100_000), leg("u1@2000")
    assert Trade("USD", 100_000, 2_000, "b1", "u1", 1_000) == trade_from(btc, usd)
    btc, usd = btc._replace(direction="SEND"), usd._replace(direction="RECEIVE")
    assert Trade("BTC", 100_000, 2_000, "b1", "u1", 1_000) == trade_from(btc, usd)
