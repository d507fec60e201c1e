"""Matching by worth: kept up leg by leg, it is the match of the whole."""

from hypothesis import given
from hypothesis import strategies as st

from domain.pairing.legs import Leg
from domain.pairing.match import match_closest
from domain.pairing.worths import Worths


def leg(name: str) -> Leg:
    """A leg from its name, `b7@100`: b for bitcoin or u for dollars, an id, and its worth in cents."""
    leg_id, cents = name.split("@")
    currency, direction = ("BTC", "RECEIVE") if leg_id[0] == "b" else ("USD", "SEND")
    return Leg(leg_id, 1_000, "SUCCESS", direction, currency, int(cents), "m", None, int(cents))


NAMES = st.lists(
    st.builds("{}{}@{}".format, st.sampled_from("bu"), st.integers(0, 99), st.integers(1, 8)),
    max_size=24,
    unique_by=lambda name: name.split("@")[0],
)


@given(NAMES, st.sets(st.integers(0, 23)))
def test_kept_up_is_the_match_of_the_whole(names: list[str], cuts: set[int]) -> None:
    """After every rematch the pairs, with those concerned replaced, are the closest match of all legs so far."""
    worths, live, legs = Worths(), dict[str, str](), [*map(leg, names)]
    for number, one in enumerate(legs):
        worths.put(one)
        if number in cuts:
            found = worths.rematch()
            live = {btc: usd for btc, usd in live.items() if btc not in found.btc_ids} | dict(found.desired)
            assert {btc.id: usd.id for btc, usd in match_closest(legs[: number + 1])} == live


def test_a_change_touches_little() -> None:
    """A leg of a worth that is far from all others concerns itself alone, however many there are."""
    worths = Worths()
    for number in range(1_000):
        worths.put(leg(f"b{number:04d}@{number}"))
        worths.put(leg(f"u{number:04d}@{number}"))
    worths.rematch()
    worths.put(leg("b9999@500"))
    assert (["b9999"], set()) == worths.rematch()
