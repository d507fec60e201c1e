"""Which legs belong together.

Two legs fit if they share a pairing key, their currencies differ, and either their memo names the trade or their
worth differs by at most one cent, which is what rounding on both sides can make of it.

Among legs that fit, two rules choose. `match_closest` is ours: the closest worth first, a function of the *set* of
legs, so that neither the order of arrival nor a restart shows in the result. `match_first` is the reference system's:
it walks the list and takes the first that fits, so a worse match that comes earlier wins over an exact one that comes
later.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from operator import attrgetter
from typing import NamedTuple

from domain.legs import Leg, has_journal, pairing_key, user_buys_usd

GAP_MAX_CENTS = 1
"""How far the worth of two partners may differ when no memo names the trade."""

Pair = tuple[Leg, Leg]
"""A bitcoin leg and its dollar leg."""


class Trade(NamedTuple):
    """What two paired legs come to; `buys` is what the user buys, USD or BTC. Amounts are positive, in minor units."""

    buys: str
    amount_sats: int
    amount_cents: int
    btc_leg_id: str
    usd_leg_id: str
    created_at_ms: int


def trade_from(btc: Leg, usd: Leg) -> Trade:
    """The trade of two legs that fit; the cents are those that moved, not those that the bitcoin leg is worth."""
    buys = "USD" if user_buys_usd(btc) else "BTC"
    return Trade(buys, btc.amount, usd.amount, btc.id, usd.id, btc.created_at_ms)


class _Spare(NamedTuple):
    """Legs of one worth and one currency that found no exact partner, in order of their ids."""

    cents: int
    currency: str
    legs: deque[Leg]


def match_closest(legs: Iterable[Leg]) -> list[Pair]:
    """Match legs that share one pairing key: the closest worth first.

    Legs of equal worth pair in order of their ids. Then the nearest in worth, and of equally near ones those of least
    worth, which leaves the fewest over. Where a memo names the trade, any difference will do. O(n log n).
    """
    rest = list({leg.id: leg for leg in legs}.values())
    if len(rest) == 2:
        return _match_two(*rest)
    pairs, spares = _match_exact(rest)
    if len(spares) < 2:
        return pairs
    return pairs + _match_near(spares, gap_max=None if has_journal(spares[0].legs[0]) else GAP_MAX_CENTS)


def _match_two(one: Leg, other: Leg) -> list[Pair]:
    """What nearly every key comes down to."""
    if one.currency == other.currency:
        return []
    if abs(one.cents - other.cents) > GAP_MAX_CENTS and not has_journal(one):
        return []
    return [(one, other) if one.currency == "BTC" else (other, one)]


def _match_exact(legs: Iterable[Leg]) -> tuple[list[Pair], list[_Spare]]:
    """Pairs of equal worth, and what is left over of each worth, from the least to the most."""
    sides: dict[int, tuple[list[Leg], list[Leg]]] = {}
    for leg in sorted(legs, key=attrgetter("cents", "id")):
        sides.setdefault(leg.cents, ([], []))[leg.currency == "USD"].append(leg)
    pairs: list[Pair] = []
    spares: list[_Spare] = []
    for cents, (btc, usd) in sides.items():
        pairs.extend(zip(btc, usd, strict=False))
        matched = min(len(btc), len(usd))
        over = (btc if len(btc) > matched else usd)[matched:]
        if over:
            spares.append(_Spare(cents, over[0].currency, deque(over)))
    return pairs, spares


def _match_near(spares: Sequence[_Spare], gap_max: int | None) -> list[Pair]:
    """Match neighbours by worth, the nearest first; the two nearest of opposite currency are always neighbours."""
    pairs: list[Pair] = []
    before = [*range(-1, len(spares) - 1)]
    after = [*range(1, len(spares)), -1]
    near: list[tuple[int, int, int]] = []

    def meet(low: int, high: int) -> None:
        if low < 0 or high < 0 or spares[low].currency == spares[high].currency:
            return
        gap = spares[high].cents - spares[low].cents
        if gap_max is None or gap <= gap_max:
            heappush(near, (gap, low, high))

    def leave(index: int) -> None:
        low, high = before[index], after[index]
        if low >= 0:
            after[low] = high
        if high >= 0:
            before[high] = low
        meet(low, high)

    for index in range(len(spares) - 1):
        meet(index, index + 1)
    while near:
        _, low, high = heappop(near)
        pairs.extend(_take_pairs(spares[low].legs, spares[high].legs))
        for index in (low, high):
            # A spare that was emptied earlier gives no pairs here, and is left only once.
            if not spares[index].legs and after[index] != index:
                leave(index)
                after[index] = index
    return pairs


def _take_pairs(some: deque[Leg], others: deque[Leg]) -> list[Pair]:
    taken = [(some.popleft(), others.popleft()) for _ in range(min(len(some), len(others)))]
    return [(one, other) if one.currency == "BTC" else (other, one) for one, other in taken]


def match_first(legs: Sequence[Leg]) -> list[Pair]:
    """Match legs in the order given: each takes the first free one after it that fits (the reference's `unify`)."""
    waiting: dict[tuple[str, str, int | None], deque[int]] = {}
    for index, leg in enumerate(legs):
        waiting.setdefault(_fit(leg, leg.currency, 0), deque()).append(index)
    free = [True] * len(legs)
    pairs: list[Pair] = []
    for index, leg in enumerate(legs):
        if not free[index]:
            continue
        free[index] = False
        partner = _first_fitting(leg, waiting, free)
        if partner is not None:
            free[partner] = False
            other = legs[partner]
            pairs.append((leg, other) if leg.currency == "BTC" else (other, leg))
    return pairs


def _fit(leg: Leg, currency: str, gap: int) -> tuple[str, str, int | None]:
    """Where a leg stands, or its partner would, among those that may fit."""
    return pairing_key(leg), currency, None if has_journal(leg) else leg.cents + gap


def _first_fitting(leg: Leg, waiting: dict[tuple[str, str, int | None], deque[int]], free: list[bool]) -> int | None:
    """The first free leg that fits. None before it in the list can: it would have taken this one."""
    other = "USD" if leg.currency == "BTC" else "BTC"
    found: list[int] = []
    for gap in range(-GAP_MAX_CENTS, GAP_MAX_CENTS + 1):
        line = waiting.get(_fit(leg, other, gap))
        while line and not free[line[0]]:
            line.popleft()
        if line:
            found.append(line[0])
    return min(found, default=None)
