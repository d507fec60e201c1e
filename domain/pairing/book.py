"""The pairing book: the state machine that turns legs into trades, for one shard of the dealer's transactions.

The book keeps a page per pairing key (`domain/pairing_page.py`). Once per instant it takes all new legs, merges what
the ledger knows, and settles the pages touched: live pairs that are no longer the best are reversed first, then the
best ones that are not live are booked. So with everything known in one instant nothing wrong is ever booked, and
whatever the order and the number of instants, the pairs that end up live are a function of the set of legs alone.

A leg's status moves on: PENDING waits, SUCCESS pairs, FAILURE is dropped, and SUCCESS beats FAILURE whatever came
first. In everything else the first word on a leg stands, and another is refused as a conflict.

A leg without a partner waits, for ever if need be: it is never forgotten, and when it has waited for `age_max_ms` of
stream time a person is told, once. The age runs from when the book first had it waiting, not from `created_at`: a
partner can only come after the leg did, and history read again years later is not late.

Under `rule="first"` the book pairs as the reference system does: each leg takes the first free one that fits, for
good. What it pairs then depends on the order of arrival; it is there to compare with, not to run on.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from domain.legs import Leg, pairing_key, same_but_status
from domain.pairing_effects import (
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
from domain.pairing_page import Page
from domain.pairing_worths import IdPair
from domain.streams import Record
from domain.waiting_legs import Waiting, WaitingLegs

Rule = Literal["closest", "first"]

_FAILED_LATE = "the leg is reported as failed after it was reported as successful; the success stands"


@dataclass(slots=True)
class _Instant:
    """What one instant touches: pages by key with the last record that did, and legs by id with theirs."""

    at_ms: int
    pages: dict[str, Record] = field(default_factory=dict)
    legs: dict[str, Record] = field(default_factory=dict)
    refused: list[Effect] = field(default_factory=list)


class PairingBook:
    """Pairs the legs of one shard; a `domain.streams.Machine` over records of `Arrival`."""

    version = 1

    def __init__(self, rule: Rule = "closest", age_max_ms: int = 600_000) -> None:
        self._rule = rule
        self._pages: dict[str, Page] = {}
        self._key_of: dict[str, str] = {}
        self._waiting = WaitingLegs(age_max_ms)
        # Pages in which nothing waits, in the order in which they were last touched.
        self._settled: OrderedDict[str, int] = OrderedDict()

    def apply(self, at_ms: int, records: Sequence[Record]) -> list[Effect]:
        """Take all legs of one instant; return refusals, then reversals, pairs and waiting legs, each in order."""
        instant = _Instant(at_ms)
        for record in records:
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

    def knows(self, key: str) -> bool:
        """Whether the book remembers this pairing key; if not, an arrival should bring what the ledger knows."""
        return key in self._pages

    def forget(self, before_ms: int) -> int:
        """Drop the pages without waiting legs that were not touched since `before_ms`; return how many."""
        count = 0
        while (oldest := next(iter(self._settled.items()), None)) and oldest[1] < before_ms:
            key, _ = self._settled.popitem(last=False)
            for leg_id in self._pages.pop(key).legs:
                self._key_of.pop(leg_id, None)
            count += 1
        return count

    @property
    def waiting_count(self) -> int:
        """How many legs have no partner yet."""
        return len(self._waiting)

    @property
    def waiting_worth_cents(self) -> int:
        """What they are worth together."""
        return self._waiting.worth_cents

    @property
    def oldest_waiting_since_ms(self) -> int | None:
        """Since when the leg that has waited longest waits, in stream time."""
        return self._waiting.oldest_since_ms

    def snapshot(self) -> tuple[Any, ...]:
        """The pages with waiting legs as tuples, sharing nothing that changes; a page that did not change costs nothing.

        Settled pages are left out: whoever goes on from a snapshot has their trades brought along from the ledger.
        """
        pages = tuple((key, *page.freeze()) for key, page in self._pages.items() if page.waiting_count)
        waiting = tuple((leg_id, *fields) for leg_id, fields in self._waiting)
        return (self.version, pages, waiting)

    @classmethod
    def restore(cls, snapshot: Sequence[Any], rule: Rule = "closest", age_max_ms: int = 600_000) -> "PairingBook":
        """The book that `snapshot` was taken of, under settings that may differ."""
        version, pages, waiting = snapshot
        if version != cls.version:
            msg = f"the pairing book reads snapshots of version {cls.version}, not {version}"
            raise ValueError(msg)
        book = cls(rule, age_max_ms)
        for key, *frozen in pages:
            book._pages[key] = page = Page.thaw(frozen)
            book._key_of.update((leg_id, key) for leg_id in page.legs)
        for leg_id, *fields in waiting:
            book._wait(leg_id, Waiting(*fields))
        return book

    def _take(self, record: Record, instant: _Instant) -> None:
        arrival: Arrival = record.value
        for trade in arrival.known:
            self._know(trade, record, instant)
        leg = arrival.leg
        key = self._key_of.get(leg.id)
        if key is not None:
            self._take_again(leg, self._pages[key].legs[leg.id], key, record, instant)
        elif leg.cents == 0:
            _refuse(leg, "worthless", "the leg is worth less than half a cent and cannot be paired", record, instant)
        else:
            self._put(leg, arrival.key or pairing_key(leg), record, instant)

    def _take_again(self, leg: Leg, before: Leg, key: str, record: Record, instant: _Instant) -> None:
        """Take another word on a leg that the book has."""
        if leg == before:
            return
        if not same_but_status(before, leg):
            _refuse(leg, "conflict", f"the leg was first told as {before}, and now as {leg}", record, instant)
        elif before.status == "PENDING" or leg.status == "SUCCESS":
            self._put(leg, key, record, instant)
        elif leg.status == "FAILURE":
            _refuse(leg, "failed", _FAILED_LATE, record, instant)

    def _put(self, leg: Leg, key: str, record: Record, instant: _Instant) -> None:
        self._page(key, instant.at_ms).put(leg)
        self._key_of[leg.id] = key
        instant.pages[key] = instant.legs[leg.id] = record
        if leg.status == "FAILURE":
            _refuse(leg, "failed", "the leg failed and will not be paired", record, instant)

    def _know(self, trade: KnownTrade, record: Record, instant: _Instant) -> None:
        self._page(trade.key, instant.at_ms).know(trade)
        instant.pages[trade.key] = record
        for leg in (trade.btc, trade.usd):
            self._key_of[leg.id] = trade.key
            instant.legs.setdefault(leg.id, record)

    def _page(self, key: str, at_ms: int) -> Page:
        page = self._pages.get(key)
        if page is None:
            page = self._pages[key] = Page(at_ms)
        return page

    def _settle(self, instant: _Instant) -> tuple[list[Effect], list[Effect]]:
        """Settle the pages touched: the reversals and the pairs, in order of key and ids."""
        unpaired: list[Effect] = []
        paired: list[Effect] = []
        for key in sorted(instant.pages):
            page = self._pages[key]
            drop, take = page.settle_closest() if self._rule == "closest" else page.settle_first()
            unpaired.extend(_turned(TradeUnpaired, page, pair, key, instant) for pair in drop)
            paired.extend(_turned(TradePaired, page, pair, key, instant) for pair in take)
            for pair in (*drop, *take):
                for leg_id in pair:
                    instant.legs.setdefault(leg_id, instant.pages[key])
        return unpaired, paired

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


def _turned(
    effect: type[TradePaired] | type[TradeUnpaired], page: Page, pair: IdPair, key: str, instant: _Instant
) -> Effect:
    """A booking or a reversal of a pair, caused by the later of its legs, or else by what last touched its page."""
    causes = [instant.legs[leg_id] for leg_id in pair if leg_id in instant.legs]
    cause = max(causes, key=lambda record: (record.source, record.offset)) if causes else instant.pages[key]
    btc, usd = (page.legs[leg_id] for leg_id in pair)
    return effect(btc, usd, page.turn(pair), key, cause.source, cause.offset)


def _refuse(leg: Leg, reason: RefusalReason, detail: str, record: Record, instant: _Instant) -> None:
    instant.refused.append(LegRefused(leg.id, reason, detail, record.source, record.offset))
