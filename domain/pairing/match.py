"""Which legs belong together.

Two legs fit if they share a pairing key, their currencies differ, and either their memo names the trade or their
worth differs by at most one cent, which is what rounding on both sides can make of it.

Among legs that fit, two rules choose. `match_closest` is ours: as many pairs as can be, of the least gaps, a function of the
*set* of legs, so that neither the order of arrival nor a restart shows in the result. `match_first` is the reference system's:
it walks the list and takes the first that fits, so a worse match that comes earlier wins over an exact one that comes
later.
"""

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

from domain.pairing.carry import Space, best_carries
from domain.pairing.legs import Leg, has_journal, pairing_key, user_buys_usd
from domain.pairing.worths import Worths

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
    """Return the trade of two legs that fit, as the reference system tells it: cents are those that moved, not a worth."""
    buys = "USD" if user_buys_usd(btc) else "BTC"
    return Trade(buys, btc.amount, usd.amount, btc.id, usd.id, btc.created_at_ms)


def match_closest(legs: Iterable[Leg]) -> list[Pair]:
    """Match legs that share one pairing key: as many as can be, then with the smallest sum of gaps, then by worth and id.

    Where a memo names the trade, any difference will do. Of equally good partners the one of least worth is taken, and of
    legs of one worth the first by id.
    """
    by_id = {leg.id: leg for leg in legs}
    if len(by_id) == 2:
        pair = match_two(*by_id.values())
        return [pair] if pair else []
    if any(map(has_journal, by_id.values())):
        return _match_journal(by_id.values())
    worths = Worths()
    for leg in by_id.values():
        worths.put(leg)
    return [(by_id[btc], by_id[usd]) for btc, usd in sorted(worths.rematch().desired)]


def match_two(one: Leg, other: Leg) -> Pair | None:
    """Return two legs of one pairing key as a pair, if they fit: what nearly every key comes down to."""
    if one.currency == other.currency:
        return None
    if abs(one.cents - other.cents) > GAP_MAX_CENTS and not has_journal(one):
        return None
    return (one, other) if one.currency == "BTC" else (other, one)


def _match_journal(legs: Collection[Leg]) -> list[Pair]:
    """Match legs that all fit each other, so that what has no partner of equal worth takes one from any distance."""
    pairs, spares = _match_exact(legs)
    if len(spares) < 2:
        return pairs
    spaces = [Space(high[0].cents - low[0].cents, len(legs), len(legs)) for low, high in pairwise(spares)]
    carries = [0, *best_carries([*map(_excess, spares)], spaces), 0]
    carried: deque[Leg] = deque()
    for spare, (before, after) in zip(spares, pairwise(carries), strict=True):
        for leg in spare[: abs(after - before)]:
            if carried and carried[0].currency != leg.currency:
                pairs.append(_pair(carried.popleft(), leg))
            else:
                carried.append(leg)
    return pairs


def _excess(spare: Sequence[Leg]) -> int:
    return len(spare) if spare[0].currency == "BTC" else -len(spare)


def _pair(one: Leg, other: Leg) -> Pair:
    return (one, other) if one.currency == "BTC" else (other, one)


def _match_exact(legs: Iterable[Leg]) -> tuple[list[Pair], list[list[Leg]]]:
    """Pairs of equal worth, and what is left over of each worth, from the least to the most."""
    sides: dict[int, tuple[list[Leg], list[Leg]]] = {}
    for leg in sorted(legs, key=attrgetter("cents", "id")):
        sides.setdefault(leg.cents, ([], []))[leg.currency == "USD"].append(leg)
    pairs = [pair for btc, usd in sides.values() for pair in zip(btc, usd, strict=False)]
    spares = [btc[len(usd) :] or usd[len(btc) :] for btc, usd in sides.values()]
    return pairs, [spare for spare in spares if spare]


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
            pairs.append(_pair(leg, other))
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
