"""Matching by worth, kept up as legs are added: only what a new leg can have changed is matched again.

A page of the pairing book may hold thousands of legs of one second, and a new one changes few of their pairs. Legs of
equal worth pair in order of their ids. Where a worth has more legs of one currency than of the other, it is *uneven*, and the
rest pairs with worths a cent away: directly, or through worths between, each of which then pairs one leg below and one above
instead of the two with each other. How many are carried so from each worth to the next is what `domain.pairing.carry`
says; it depends only on the uneven worths that are linked by worths between them with legs to carry, so a new leg is a matter
of its own neighbourhood.

Of the legs of one worth and currency the first by id pair with their like, the next with the worth below, the next with the
one above, and the rest wait. So the result is a function of the set of legs, and `match_closest` is this, all at once.
"""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from domain.pairing.carry import Space, best_carries
from domain.pairing.legs import Leg

IdPair = tuple[str, str]
"""The ids of a bitcoin leg and of its dollar leg."""


class Rematch(NamedTuple):
    """The bitcoin legs whose partner may have changed, and the pairs that they should be in now."""

    btc_ids: list[str]
    desired: set[IdPair]


class _Worth:
    """The ids of all legs of one worth, in order, by currency.

    The first `exact` of both pair with each other. Carried over the space above are `up` (see `domain.pairing.carry`),
    over the one below `down`. At the last rematch `paired` bitcoin legs had a partner; `grown` legs are new since, the
    first of them at `first`.
    """

    __slots__ = ("btc", "down", "exact", "first", "grown", "paired", "up", "usd")

    def __init__(self) -> None:
        self.btc: list[str] = []
        self.usd: list[str] = []
        self.down = self.up = self.exact = self.paired = self.first = self.grown = 0

    @property
    def excess(self) -> int:
        """How many more bitcoin legs there are than dollar legs."""
        return len(self.btc) - len(self.usd)

    def put(self, leg: Leg) -> None:
        ids = self.btc if leg.currency == "BTC" else self.usd
        place = bisect_left(ids, leg.id)
        ids.insert(place, leg.id)
        self.first = min(self.first, place) if self.grown else place
        self.grown += 1

    def pair_exact(self, found: Rematch) -> None:
        """Pair what is equal, but for what is carried away, from the first place that changed."""
        btc_away = max(self.up, 0) + max(-self.down, 0)
        usd_away = max(-self.up, 0) + max(self.down, 0)
        exact = min(len(self.btc) - btc_away, len(self.usd) - usd_away)
        start = min(self.exact, exact, self.first if self.grown else exact)
        found.btc_ids.extend(self.btc[start : max(self.paired + self.grown, exact + btc_away)])
        found.desired.update(zip(self.btc[start:exact], self.usd[start:exact], strict=True))
        self.exact, self.paired, self.grown = exact, exact + btc_away, 0


class Worths:
    """All legs of one pairing key, by worth."""

    __slots__ = ("_by_cents", "_changed", "_levels", "_uneven")

    def __init__(self) -> None:
        self._by_cents: dict[int, _Worth] = {}
        # In order: the worths that have legs, and those of them that are uneven.
        self._levels: list[int] = []
        self._uneven: list[int] = []
        self._changed: set[int] = set()

    def put(self, leg: Leg) -> None:
        """Add a leg that was not there."""
        worth = self._by_cents.get(leg.cents)
        if worth is None:
            worth = self._by_cents[leg.cents] = _Worth()
            insort(self._levels, leg.cents)
        worth.put(leg)
        self._changed.add(leg.cents)

    def rematch(self) -> Rematch:
        """Match again what the legs put since the last time can have changed."""
        found = Rematch([], set())
        self._carry()
        changed = sorted(self._changed)
        for cents in changed:
            self._by_cents[cents].pair_exact(found)
        for cents in sorted({*changed, *(cents - 1 for cents in changed)}):
            self._pair_carried(cents, found)
        self._changed.clear()
        return found

    def _carry(self) -> None:
        """Carry what is best around every worth that changed, and note the worths which that changes."""
        for cents in self._changed:
            self._keep_uneven(cents)
        carries: dict[int, int] = {}
        for cents in self._changed:
            self._end_carries(cents, carries)
        for linked in self._concerned():
            carries.update(self._best(linked))
        for low, carry in carries.items():
            worth = self._by_cents[low]
            if carry != worth.up:
                worth.up = self._by_cents[low + 1].down = carry
                self._changed.update((low, low + 1))

    def _keep_uneven(self, cents: int) -> None:
        place = bisect_left(self._uneven, cents)
        known = self._uneven[place : place + 1] == [cents]
        if known != (self._by_cents[cents].excess != 0):
            self._uneven[place : place + known] = [] if known else [cents]

    def _end_carries(self, cents: int, carries: dict[int, int]) -> None:
        """End what is carried from or to a worth, which may no longer be uneven, unless it is found to be best again."""
        for step, low in ((1, cents), (-1, cents - 1)):
            at = low
            while at not in carries and (worth := self._by_cents.get(at)) and worth.up:
                carries[at] = 0
                at += step

    def _concerned(self) -> Iterator[Sequence[int]]:
        """Yield all uneven worths that a change may concern, those that are linked with each other at once."""
        done = -1
        for cents in sorted(self._changed):
            at = bisect_left(self._uneven, cents)
            is_beside = at > 0 and self._uneven[at - 1] == done and self._is_link(done, cents)
            if cents > done and not is_beside and (linked := self._linked(cents)):
                done = linked[-1]
                yield linked

    def _linked(self, cents: int) -> Sequence[int]:
        """Return the uneven worths that what is at this one may concern, from the least up."""
        uneven = self._uneven
        first = last = bisect_left(uneven, cents)
        at = cents
        while first and self._is_link(uneven[first - 1], at):
            first -= 1
            at = uneven[first]
        at = cents
        while last < len(uneven) and self._is_link(at, uneven[last]):
            at = uneven[last]
            last += 1
        return uneven[first:last]

    def _is_link(self, low: int, high: int) -> bool:
        """Tell whether anything could be carried between two worths of which all between are even."""
        apart = high - low
        if apart < 2:
            return not apart or any(self._room(low))
        return bisect_left(self._levels, high) - bisect_left(self._levels, low) == apart

    def _room(self, cents: int) -> tuple[int, int]:
        """Return how many dollar legs, and how many bitcoin legs, could be carried from this worth to the next."""
        low, high = self._by_cents[cents], self._by_cents[cents + 1]
        return min(len(low.usd), len(high.btc)), min(len(low.btc), len(high.usd))

    def _best(self, linked: Sequence[int]) -> Iterator[tuple[int, int]]:
        """Yield every worth from which something may be carried to the next, and how much is best."""
        excess = [self._by_cents[cents].excess for cents in linked]
        if len({number > 0 for number in excess}) < 2:
            return
        spans = list(pairwise(linked))
        spaces = [self._space(low, high) for low, high in spans]
        for (low, high), carry in zip(spans, best_carries(excess, spaces), strict=True):
            for cents in range(low, high):
                yield cents, carry

    def _space(self, low: int, high: int) -> Space:
        rooms = [self._room(cents) for cents in range(low, high)]
        return Space(high - low, min(usd for usd, _ in rooms), min(btc for _, btc in rooms))

    def _pair_carried(self, cents: int, found: Rematch) -> None:
        """Pair what is carried over the space above this worth, in order of the ids."""
        low, high = self._by_cents.get(cents), self._by_cents.get(cents + 1)
        if low is None or high is None or not low.up:
            return
        # What goes down stands before what goes up.
        if low.up > 0:
            start = low.exact + max(-low.down, 0)
            btc, usd = low.btc[start : start + low.up], high.usd[high.exact : high.exact + low.up]
        else:
            start = low.exact + max(low.down, 0)
            btc, usd = high.btc[high.exact : high.exact - low.up], low.usd[start : start - low.up]
        found.btc_ids.extend(btc)
        found.desired.update(zip(btc, usd, strict=True))
