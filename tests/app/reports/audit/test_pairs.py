"""The match that an audit makes is as good as the best of all that there are, and as good as the one that the flows make."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from app.reports.audit.pairs import GAP_MAX_CENTS, Match, Told, best
from domain.pairing.legs import Leg
from domain.pairing.match import match_closest

SIDES = st.lists(st.tuples(st.sampled_from(["BTC", "USD"]), st.integers(0, 8)), min_size=1, max_size=9)


def told(sides: Sequence[tuple[str, int]], *, is_named: bool) -> list[Told]:
    """Legs of one group, by currency and worth."""
    memo = ("JournalId:1",) if is_named else ("",)
    return [Told(f"{n}", memo, currency, cents, is_named, False) for n, (currency, cents) in enumerate(sides)]


def every_match(btc: Sequence[Told], usd: Sequence[Told]) -> Iterator[Match]:
    """All matches there are, one by one."""
    if not btc:
        yield Match(0, 0)
        return
    yield from every_match(btc[1:], usd)
    for place, other in enumerate(usd):
        gap = abs(btc[0].cents - other.cents)
        if gap <= GAP_MAX_CENTS or btc[0].is_named:
            for rest in every_match(btc[1:], [*usd[:place], *usd[place + 1 :]]):
                yield Match(rest.pairs + 1, rest.gaps_cents + gap)


@given(SIDES, st.booleans())
def test_no_other_match_is_better(sides: list[tuple[str, int]], is_named: bool) -> None:
    """Of all matches that can be made of a few legs none has more pairs, or as many with smaller gaps."""
    legs = told(sides, is_named=is_named)
    btc, usd = ([leg for leg in legs if leg.currency == currency] for currency in ("BTC", "USD"))
    assert max(match.rank for match in every_match(btc, usd)) == best(legs).rank


@given(SIDES, st.booleans())
def test_the_flows_pair_as_well(sides: list[tuple[str, int]], is_named: bool) -> None:
    """What the flows make of the same legs has as many pairs, with as small gaps: two programs that do not know each other."""
    memo = "JournalId:1" if is_named else None
    legs = [
        Leg(f"{n}", 1_000, "SUCCESS", "RECEIVE" if currency == "BTC" else "SEND", currency, cents, "m", memo, cents)
        for n, (currency, cents) in enumerate(sides)
    ]
    pairs = match_closest(legs)
    assert Match(len(pairs), sum(abs(btc.cents - usd.cents) for btc, usd in pairs)) == best(told(sides, is_named=is_named))
