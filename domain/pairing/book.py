"""The pairing book: the state machine that turns legs into trades.

There is one for all legs, since a leg is known by its id alone: told again with another second, it is still the same leg.

The book keeps a page per pairing key (`domain/pairing/page.py`). Once per instant it takes all new legs, merges what
the ledger knows, and settles the pages touched: live pairs that are no longer the best are reversed first, then the
best ones that are not live are booked. So with everything known in one instant nothing wrong is ever booked, and
whatever the order and the number of instants, the pairs that end up live are a function of the set of legs alone.

What is said of one leg may change, and one word is chosen by a rule:

* SUCCESS decides, whatever came before or comes after with another status: it may have another time, amount or memo than the
  PENDING word, and moves the leg to where it belongs then. FAILURE drops a leg of which nothing but PENDING was told.
* Of two SUCCESS words with different bodies nothing tells which is right: the first stands, and the other is refused as a
  conflict, which a person hears of.
* The same again, and what says less than is known, is silent.

So where no two SUCCESS words contradict each other, what is paired does not depend on the order of the words either.

A leg without a partner waits, for ever if need be: it is never forgotten, and when it has waited for `age_max_ms` of
stream time a person is told, once. The age runs from when the book first had it waiting, not from `created_at`: a
partner can only come after the leg did, and history read again years later is not late.

Under `rule="first"` the book pairs as the reference system does: each leg takes the first free one that fits, for
good. What it pairs then depends on the order of arrival; it is there to compare with, not to run on.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Literal, Self

from domain.pairing.effects import (
    Arrival,
    Effect,
    KnownTrade,
    LegRefused,
    LegTooOld,
    LegWaits,
    RefusalReason,
    TradePaired,
    TradeUnpaired,
    WaitState,
)
from domain.pairing.legs import Leg, difference
from domain.pairing.match import Pair, match_two
from domain.pairing.page import Page
from domain.pairing.waiting import Waiting, WaitingLegs
from domain.pairing.worths import IdPair
from domain.streams.records import Record, Snapshot, new

Rule = Literal["closest", "first"]

known_of = attrgetter("value.known")
"""What the ledger knows of the leg in a record."""

_FAILED_LATE = "the leg is told as failed after it was told as successful; the success stands, and so does its trade"
_WORTHLESS = "the leg is worth less than half a cent and cannot be paired"


@dataclass(slots=True)
class _Instant:
    """What one instant touches: pages by key with the last record that did, and legs by id with theirs; and couples, two legs
    alone under a new key, with the later of their records."""

    at_ms: int
    couples: dict[str, tuple[Pair, Record[Arrival]]] = field(default_factory=dict)
    pages: dict[str, Record[Arrival]] = field(default_factory=dict)
    legs: dict[str, Record[Arrival]] = field(default_factory=dict)
    refused: list[Effect] = field(default_factory=list)


class PairingBook:
    """Pairs all legs; a `domain.streams.records.Machine` over records of `Arrival`."""

    version = 2

    def __init__(self, rule: Rule = "closest", age_max_ms: int = 600_000) -> None:
        self._rule = rule
        self._pages: dict[str, Page] = {}
        # Nearly every page is never more than two legs that fit, so it is made only when a third word comes.
        self._couples: dict[str, Pair] = {}
        self._key_of: dict[str, str] = {}
        self._waiting = WaitingLegs(age_max_ms)
        # Pages in which nothing waits, in the order in which they were last touched.
        self._settled: OrderedDict[str, int] = OrderedDict()

    def apply(self, at_ms: int, records: Sequence[Record[Arrival]]) -> list[Effect]:
        """Take all legs of one instant; return refusals, then reversals, pairs and waiting legs, each in order."""
        instant = _Instant(at_ms)
        for record in self._without_couples(records, instant):
            self._take(record, instant)
        unpaired, paired = self._settle(instant)
        return [*instant.refused, *unpaired, *paired, *self._announce(instant)]

    def wake_at_ms(self) -> int | None:
        """When the next leg will have waited too long."""
        return self._waiting.wake_at_ms()

    def wake(self, at_ms: int) -> list[Effect]:
        """Tell of every leg that has waited too long; each is told of once."""
        effects: list[Effect] = []
        for leg_id, (key, since_ms, _, _) in self._waiting.grow_old(at_ms):
            leg = self._pages[key].legs[leg_id]
            effects.append(LegWaits(leg, "too_old", since_ms, at_ms))
            effects.append(LegTooOld(leg, key, since_ms, at_ms))
        return effects

    def forget(self, before_ms: int) -> int:
        """Drop the pages without waiting legs that were not touched since `before_ms`; return how many."""
        count = 0
        while (oldest := next(iter(self._settled.items()), None)) and oldest[1] < before_ms:
            key, _ = self._settled.popitem(last=False)
            couple = self._couples.pop(key, None)
            leg_ids = [leg.id for leg in couple] if couple else self._pages.pop(key).legs
            for leg_id in leg_ids:
                self._key_of.pop(leg_id, None)
            count += 1
        return count

    def gauges(self) -> dict[str, int]:
        """How many legs wait for a partner, what they are worth, and since when the oldest does, of all and of those
        that have not waited too long (0: none waits)."""
        return {
            "waiting_legs": len(self._waiting),
            "waiting_worth_cents": self._waiting.worth_cents,
            "oldest_waiting_since_ms": self._waiting.oldest_since_ms or 0,
            "fresh_waiting_since_ms": self._waiting.fresh_since_ms or 0,
        }

    def ended(self, leg_id: str) -> tuple[Leg, WaitState] | None:
        """Return a leg that is known and does not wait, with what became of it; None of any other."""
        key = self._key_of.get(leg_id)
        if key is None or self._waiting.get(leg_id):
            return None
        if key in self._couples:
            return next((leg, "paired") for leg in self._couples[key] if leg.id == leg_id)
        page = self._pages[key]
        return page.legs[leg_id], _state(page, leg_id)

    def snapshot(self) -> Snapshot:
        """The pages with waiting legs as tuples, sharing nothing that changes; a page that did not change costs nothing.

        Settled pages are left out: whoever goes on from a snapshot has their trades brought along from the ledger.
        """
        pages = tuple((key, *page.freeze()) for key, page in self._pages.items() if page.waiting_count)
        waiting = tuple((leg_id, *fields) for leg_id, fields in self._waiting)
        return pages, waiting

    @classmethod
    def restore(cls, snapshot: Snapshot, rule: Rule = "closest", age_max_ms: int = 600_000) -> Self:
        """The book that `snapshot` was taken of, under settings that may differ."""
        pages, waiting = snapshot
        book = cls(rule, age_max_ms)
        for key, *frozen in pages:
            book._pages[key] = page = Page.thaw(frozen)
            book._key_of.update((leg_id, key) for leg_id in page.legs)
        for leg_id, *fields in waiting:
            book._wait(leg_id, Waiting(*fields))
        return book

    def _without_couples(self, records: Sequence[Record[Arrival]], instant: _Instant) -> Iterable[Record[Arrival]]:
        """Take the couples of an instant in which nothing is known from before, and return the other records, in order.

        That is the short way of `_take` and `_settle`, with the same outcome.
        """
        if len({record.value.leg.id for record in records}) < len(records) or any(map(known_of, records)):
            return records
        by_key: dict[str, list[Record[Arrival]]] = {}
        for record in records:
            by_key.setdefault(record.value.key, []).append(record)
        couples = instant.couples
        for key, alone in by_key.items():
            if len(alone) == 2 and (pair := self._couple(key, *alone)):
                one, other = alone
                couples[key] = pair, one if _place(one) > _place(other) else other
        return [record for record in records if record.value.key not in couples] if 2 * len(couples) < len(records) else ()

    def _couple(self, key: str, one: Record[Arrival], other: Record[Arrival]) -> Pair | None:
        """Return two legs of a key as a pair, if key and legs are new and they fit."""
        first, second, known = one.value.leg, other.value.leg, self._key_of
        if key in self._pages or key in self._couples or first.id in known or second.id in known:
            return None
        if not (first.status == second.status == "SUCCESS" and first.cents and second.cents):
            return None
        return match_two(first, second)

    def _take(self, record: Record[Arrival], instant: _Instant) -> None:
        arrival = record.value
        for trade in arrival.known:
            self._know(trade, record, instant)
        leg = arrival.leg
        key = self._key_of.get(leg.id)
        if key is not None:
            self._take_again(leg, self._page(key, instant.at_ms).legs[leg.id], record, instant)
        elif leg.cents == 0:
            _refuse(leg, "worthless", _WORTHLESS, record, instant)
        else:
            self._put(leg, arrival.key, record, instant)

    def _take_again(self, leg: Leg, before: Leg, record: Record[Arrival], instant: _Instant) -> None:
        """Take another word on a leg that the book has."""
        if leg == before or leg.status == "PENDING":
            return
        if before.status == "SUCCESS":
            if leg.status == "SUCCESS":
                _refuse(leg, "conflict", difference(before, leg), record, instant)
            else:
                _refuse(leg, "failed", _FAILED_LATE, record, instant)
        elif leg.status == "SUCCESS" and leg.cents:
            self._put(leg, record.value.key, record, instant)
        elif before.status == "PENDING":
            # It ends where it is: what failed, or is worth nothing, belongs nowhere else.
            self._put(before._replace(status="FAILURE"), self._key_of[leg.id], record, instant)

    def _put(self, leg: Leg, key: str, record: Record[Arrival], instant: _Instant) -> None:
        self._leave(leg.id, key, record, instant)
        self._page(key, instant.at_ms).put(leg)
        self._key_of[leg.id] = key
        instant.pages[key] = instant.legs[leg.id] = record
        if leg.status == "FAILURE":
            _refuse(leg, "failed", "the leg failed and will not be paired", record, instant)

    def _leave(self, leg_id: str, key: str, record: Record[Arrival], instant: _Instant) -> None:
        """Take a leg off the page where it waits, if it belongs on another; one that is paired stays where it is."""
        old = self._key_of.get(leg_id, key)
        if old == key or leg_id in self._page(old, instant.at_ms).partners:
            return
        self._pages[old].remove(leg_id)
        instant.pages[old] = record
        waiting = self._waiting.get(leg_id)
        if waiting is not None:
            self._pages[old].waiting_count -= 1
            self._waiting.move(leg_id, key)
            self._page(key, instant.at_ms).waiting_count += 1

    def _know(self, trade: KnownTrade, record: Record[Arrival], instant: _Instant) -> None:
        for leg in (trade.btc, trade.usd):
            self._leave(leg.id, trade.key, record, instant)
        self._page(trade.key, instant.at_ms).know(trade)
        instant.pages[trade.key] = record
        for leg in (trade.btc, trade.usd):
            self._key_of[leg.id] = trade.key
            instant.legs.setdefault(leg.id, record)

    def _page(self, key: str, at_ms: int) -> Page:
        page = self._pages.get(key)
        if page is None:
            couple = self._couples.pop(key, None)
            page = self._pages[key] = Page(at_ms) if couple is None else Page.of_couple(at_ms, *couple)
        return page

    def _settle(self, instant: _Instant) -> tuple[list[Effect], list[Effect]]:
        """Settle the pages touched: the reversals and the pairs, in order of key and ids."""
        if not instant.pages:
            return [], [self._settle_couple(key, instant) for key in sorted(instant.couples)]
        unpaired: list[Effect] = []
        paired: list[Effect] = []
        for key in sorted({**instant.couples, **instant.pages}):
            if key in instant.couples:
                paired.append(self._settle_couple(key, instant))
                continue
            page = self._pages[key]
            drop, take = page.settle_closest() if self._rule == "closest" else page.settle_first()
            unpaired.extend(_turned(TradeUnpaired, page, pair, key, instant) for pair in drop)
            paired.extend(_turned(TradePaired, page, pair, key, instant) for pair in take)
            for pair in (*drop, *take):
                for leg_id in pair:
                    instant.legs.setdefault(leg_id, instant.pages[key])
        return unpaired, paired

    def _settle_couple(self, key: str, instant: _Instant) -> TradePaired:
        couple, cause = instant.couples[key]
        self._couples[key] = couple
        self._settled[key] = instant.at_ms
        btc, usd = couple
        self._key_of[btc.id] = self._key_of[usd.id] = key
        return new(TradePaired, (btc, usd, 0, key, cause.source, cause.offset))

    def _announce(self, instant: _Instant) -> list[Effect]:
        """Tell of the legs that began or ceased to wait, and see which pages may be forgotten."""
        effects: list[Effect] = []
        for leg_id in sorted(instant.legs):
            effects.extend(self._announce_leg(leg_id, instant.at_ms))
        for key in instant.pages:
            page = self._pages[key]
            page.touched_ms = instant.at_ms
            self._settled.pop(key, None)
            if not page.waiting_count:
                self._settled[key] = instant.at_ms
        return effects

    def _announce_leg(self, leg_id: str, at_ms: int) -> Iterable[Effect]:
        key = self._key_of[leg_id]
        page = self._pages[key]
        leg, state = page.legs[leg_id], _state(page, leg_id)
        before = self._waiting.get(leg_id)
        since_ms = before.since_ms if before else at_ms
        if state in ("paired", "dropped"):
            if before is None:
                return ()
            self._waiting.remove(leg_id)
            self._pages[before.key].waiting_count -= 1
        elif before is None:
            self._wait(leg_id, Waiting(key, at_ms, state, leg.cents))
        elif before.state in (state, "too_old"):
            return ()
        else:
            self._waiting.rename(leg_id, state)
        return (LegWaits(leg, state, since_ms, at_ms),)

    def _wait(self, leg_id: str, waiting: Waiting) -> None:
        self._waiting.add(leg_id, waiting)
        self._pages[waiting.key].waiting_count += 1


def _state(page: Page, leg_id: str) -> WaitState:
    if leg_id in page.partners:
        return "paired"
    status = page.legs[leg_id].status
    return "dropped" if status == "FAILURE" else "pending" if status == "PENDING" else "waiting"


def _place(record: Record[Arrival]) -> tuple[str, int]:
    return record[1:3]


def _turned(
    effect: type[TradePaired] | type[TradeUnpaired], page: Page, pair: IdPair, key: str, instant: _Instant
) -> Effect:
    """A booking or a reversal of a pair, caused by the later of its legs, or else by what last touched its page."""
    causes = [instant.legs[leg_id] for leg_id in pair if leg_id in instant.legs]
    cause = max(causes, key=_place) if causes else instant.pages[key]
    btc, usd = (page.legs[leg_id] for leg_id in pair)
    return effect(btc, usd, page.turn(pair), key, cause.source, cause.offset)


def _refuse(leg: Leg, reason: RefusalReason, detail: str, record: Record[Arrival], instant: _Instant) -> None:
    instant.refused.append(LegRefused(leg.id, reason, detail, record.source, record.offset))
