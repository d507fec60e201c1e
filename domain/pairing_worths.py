"""Matching by worth, kept up as legs are added: only what a new leg can have changed is matched again.

A page of the pairing book may hold thousands of legs of one second, and a new one changes few of their pairs. Legs of
equal worth pair in order of their ids, so nothing changes before the new leg's own place in that order. What one worth
has left over pairs with what is left over a cent above, from the least worth up: a worth first *lends* to the one
below, and what it has left after that goes to the one above. So a change travels upwards only, and only until a worth
lends as much as it did before.

The result is that of `domain.pairing.match_closest` over all legs, without a journal.
"""

from bisect import bisect_left
from typing import NamedTuple

from domain.legs import Leg

IdPair = tuple[str, str]
"""The ids of a bitcoin leg and of its dollar leg."""


class Rematch(NamedTuple):
    """The bitcoin legs whose partner may have changed, and the pairs that they should be in now."""

    btc_ids: list[str]
    desired: set[IdPair]


class _Worth:
    """The ids of all legs of one worth, in order, by currency.

    The first `matched` of both pair with each other, then the next `lent` of the longer list with the worth below, and
    the rest up to `reach` with the worth above. `grown` legs are new, the first of them at `changed_from`.
    """

    __slots__ = ("btc", "changed_from", "grown", "lent", "reach", "usd")

    def __init__(self) -> None:
        self.btc: list[str] = []
        self.usd: list[str] = []
        self.lent = 0
        self.reach = 0
        self.grown = 0
        self.changed_from = 0

    @property
    def matched(self) -> int:
        """How many pairs of equal worth there are."""
        return min(len(self.btc), len(self.usd))

    @property
    def balance(self) -> int:
        """How many bitcoin legs are left over of them; negative for dollar legs."""
        return len(self.btc) - len(self.usd)

    def put(self, leg: Leg) -> None:
        ids = self.btc if leg.currency == "BTC" else self.usd
        place = bisect_left(ids, leg.id)
        ids.insert(place, leg.id)
        self.changed_from = min(self.changed_from, place) if self.grown else place
        self.grown += 1

    def match_equal(self, found: Rematch) -> None:
        """Pair what is equal, from the first new place on."""
        start, matched = min(self.changed_from, self.matched), self.matched
        found.btc_ids.extend(self.btc[start : max(self.reach + self.grown, matched)])
        found.desired.update(zip(self.btc[start:matched], self.usd[start:matched], strict=True))
        self.reach, self.grown = matched + self.lent, 0

    def lend(self, number: int, found: Rematch) -> None:
        """Lend so many to the worth below."""
        found.btc_ids.extend(self.btc[self.matched : self.matched + max(number, self.lent)])
        self.lent = number

    def use(self, number: int, found: Rematch) -> None:
        """Pair so many with the worth above, after those that are lent."""
        start = self.matched + self.lent
        found.btc_ids.extend(self.btc[start : max(self.reach, start + number)])
        self.reach = start + number


class Worths:
    """All legs of one pairing key, by worth."""

    __slots__ = ("_by_cents", "_changed")

    def __init__(self) -> None:
        self._by_cents: dict[int, _Worth] = {}
        self._changed: set[int] = set()

    def put(self, leg: Leg) -> None:
        """Add a leg that was not there."""
        worth = self._by_cents.get(leg.cents)
        if worth is None:
            worth = self._by_cents[leg.cents] = _Worth()
        worth.put(leg)
        self._changed.add(leg.cents)

    def rematch(self) -> Rematch:
        """Match again what the legs put since the last time can have changed."""
        found = Rematch([], set())
        done = -1
        for start in sorted(self._changed):
            if start > done:
                done = start
                while self._rematch_worth(done, found):
                    done += 1
        self._changed.clear()
        return found

    def _rematch_worth(self, cents: int, found: Rematch) -> bool:
        """Match one worth in itself and with the one below; return whether the one above may be concerned."""
        low, worth = self._by_cents.get(cents - 1), self._by_cents.get(cents)
        if worth is None:
            if low is not None:
                low.use(0, found)
            return False
        grown, lent = worth.grown, worth.lent
        if grown:
            worth.match_equal(found)
        if low is not None:
            opposite = low.balance * worth.balance < 0
            worth.lend(min(abs(low.balance) - low.lent, abs(worth.balance)) if opposite else 0, found)
            low.use(worth.lent, found)
            _pair_lent(low, worth, found)
        return grown > 0 or worth.lent != lent


def _pair_lent(low: _Worth, high: _Worth, found: Rematch) -> None:
    """Pair what the higher worth lends with what the lower one uses of it, in order of the ids."""
    low_ids, high_ids = (low.btc, high.usd) if low.balance > 0 else (low.usd, high.btc)
    used = low_ids[low.matched + low.lent : low.reach]
    lent = high_ids[high.matched : high.matched + high.lent]
    btc, usd = (used, lent) if low.balance > 0 else (lent, used)
    found.desired.update(zip(btc, usd, strict=True))
