"""One page of the pairing book: all legs that share a pairing key, and which pairs of them were booked.

A page counts bookings and reversals per pair. An even count means that the pair is not live, an odd one that it is,
and half of it, rounded down, is the generation of the next booking or of the one to reverse. Counts only grow, so the
counts of two memories of one page merge by taking the larger.

To settle a page is to compare the pairs that should be live with those that are. What should be live is
`match_closest` of all legs that succeeded; without a journal it is kept up as legs are added
(`domain/pairing/worths.py`).
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from domain.pairing.effects import KnownTrade
from domain.pairing.legs import Leg, has_journal
from domain.pairing.match import match_closest, match_first
from domain.pairing.worths import IdPair, Worths


class Change(NamedTuple):
    """The pairs that are live and should not be, and those that should be and are not, each in order."""

    drop: list[IdPair]
    take: list[IdPair]


class Page:
    """All legs of one pairing key, whatever their status, and what was booked of them.

    `partners` leads from each leg of a live pair to the other, `waiting_count` is how many legs the book has waiting
    here, and `touched_ms` is when a leg last came.
    """

    __slots__ = ("_frozen", "_new", "_stale", "_worths", "counts", "legs", "partners", "touched_ms", "waiting_count")

    def __init__(self, touched_ms: int) -> None:
        self.legs: dict[str, Leg] = {}
        self.counts: dict[IdPair, int] = {}
        self.partners: dict[str, str] = {}
        self.touched_ms = touched_ms
        self.waiting_count = 0
        self._worths: Worths | None = None
        self._new: list[Leg] = []
        self._stale = False
        self._frozen: tuple[Any, ...] | None = None

    @classmethod
    def of_couple(cls, touched_ms: int, btc: Leg, usd: Leg) -> "Page":
        """Return the page on which nothing stands but one live pair, booked once."""
        page = cls(touched_ms)
        page.legs = {btc.id: btc, usd.id: usd}
        page.counts = {(btc.id, usd.id): 1}
        page.partners = {btc.id: usd.id, usd.id: btc.id}
        return page

    def put(self, leg: Leg) -> None:
        """Take a leg, or a newer word on one; it can be paired once it has succeeded."""
        self.legs[leg.id] = leg
        self._frozen = None
        if leg.status == "SUCCESS":
            self._new.append(leg)

    def remove(self, leg_id: str) -> None:
        """Forget a leg that is in no live pair: it belongs on another page."""
        del self.legs[leg_id]
        self._stale, self._frozen = True, None

    def know(self, trade: KnownTrade) -> None:
        """Take what the ledger holds of a pair. What was booked is a fact: its legs stand as they were booked."""
        pair = (trade.btc.id, trade.usd.id)
        legs = (trade.btc, trade.usd)
        count = self.counts.get(pair, 0)
        if trade.count <= count and all(self.legs.get(leg.id) == leg for leg in legs):
            return
        self.legs.update((leg.id, leg) for leg in legs)
        self.counts[pair] = max(trade.count, count)
        self._stale, self._frozen = True, None

    def settle_closest(self) -> Change:
        """What has to be reversed and booked so that the live pairs are the closest match of all legs."""
        if self._stale or (self._new and has_journal(self._new[0])):
            return self._settled(self._match_all())
        return self._settled(self._match_new()) if self._new else Change([], [])

    def settle_first(self) -> Change:
        """As above, under the reference's rule: what was paired stays, and free legs pair in the order they came."""
        self._know_partners()
        free = [leg for leg in self._able() if leg.id not in self.partners]
        return self._settled(Change([], _ids(match_first(free))))

    def turn(self, pair: IdPair) -> int:
        """Count a booking or a reversal of a pair; return its generation."""
        count = self.counts.get(pair, 0)
        self.counts[pair] = count + 1
        self._frozen = None
        return count // 2

    def _settled(self, change: Change) -> Change:
        self._new.clear()
        for pair in change.drop:
            for leg_id in pair:
                self.partners.pop(leg_id, None)
        for btc, usd in change.take:
            self.partners[btc], self.partners[usd] = usd, btc
        return change

    def _match_all(self) -> Change:
        """Match everything anew, whatever was thought to be live."""
        self._know_partners()
        able = self._able()
        live = {pair for pair, count in self.counts.items() if count % 2}
        self._worths = None
        self._stale = False
        return _change(live, set(_ids(match_closest(able))))

    def _match_new(self) -> Change:
        """Match what the new legs can have changed."""
        if self._worths is None:
            self._worths = Worths()
            for leg in self._able():
                self._worths.put(leg)
        else:
            for leg in self._new:
                self._worths.put(leg)
        btc_ids, desired = self._worths.rematch()
        live = {(leg_id, self.partners[leg_id]) for leg_id in btc_ids if leg_id in self.partners}
        return _change(live, desired)

    def _able(self) -> list[Leg]:
        return [leg for leg in self.legs.values() if leg.status == "SUCCESS"]

    def _know_partners(self) -> None:
        self.partners.clear()
        for (btc, usd), count in self.counts.items():
            if count % 2:
                self.partners[btc], self.partners[usd] = usd, btc

    def freeze(self) -> tuple[Any, ...]:
        """The page as plain tuples, kept until it changes."""
        if self._frozen is None:
            legs = tuple(map(tuple, self.legs.values()))
            self._frozen = (legs, tuple((*pair, count) for pair, count in self.counts.items()))
        return (self.touched_ms, *self._frozen)

    @classmethod
    def thaw(cls, frozen: Sequence[Any]) -> "Page":
        """The page that `freeze` wrote; what can be derived is derived when the page is next touched."""
        touched_ms, legs, counts = frozen
        page = cls(touched_ms)
        page.legs = {fields[0]: Leg(*fields) for fields in legs}
        page.counts = {(btc, usd): count for btc, usd, count in counts}
        page._stale = True
        return page


def _ids(pairs: Iterable[tuple[Leg, Leg]]) -> list[IdPair]:
    return [(btc.id, usd.id) for btc, usd in pairs]


def _change(live: set[IdPair], desired: set[IdPair]) -> Change:
    return Change(sorted(live - desired), sorted(desired - live))
