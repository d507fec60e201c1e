"""How well the hedge was held, from what the topics tell: read again afterwards, by nobody who took part in it.

The hedge is *loose* while the ratio of short to liability is outside its band by at least half a contract, and no order is in
flight or finished but not yet seen in a position. That lasts as long as it takes to hear of a trade and decide; before the
first order it lasts until there is collateral. Leverage is *over* while exposure over collateral exceeds its bound.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from heapq import merge
from typing import Any, NamedTuple

from app.places.places import Places
from connectors.kafka.peek import Peek
from domain.hedging.policy import Policy
from domain.ledger.accounts import LIABILITY
from domain.money import CENTS_PER_CONTRACT
from domain.outbox.kinds import ORDER

TOPICS = ("ledger.balances", "venue.positions", "venue.balances", "market.ticks", "hedging.orders", "venue.orders")


class Held(NamedTuple):
    """How the hedge was held; spans in milliseconds, ratios to four places."""

    loose_times: int
    loose_ms_max: int
    first_order_after_ms: int | None
    leverage_max: str
    leverage_over_ms_max: int


@dataclass
class _Book:
    """What was known at one moment."""

    liability_cents: int = 0
    exposure_cents: int = 0
    collateral_sats: int = 0
    price_usd: Decimal = Decimal(0)
    position_sequence: int = 0
    finished_sequence: int = 0
    in_flight: set[str] = field(default_factory=set)

    def take(self, topic: str, word: dict[str, Any]) -> None:
        """Learn what a message says."""
        if topic == "ledger.balances" and (word["account"], word["currency"]) == LIABILITY:
            self.liability_cents = word["settled"]
        elif topic == "venue.positions":
            self.exposure_cents, self.position_sequence = word["exposure_cents"], word["sequence"]
        elif topic == "venue.balances":
            self.collateral_sats = word["trading_equity_sats"]
        elif topic == "market.ticks":
            self.price_usd = Decimal(word["price_usd"])
        elif topic == "hedging.orders":
            self.in_flight.add(word["client_order_id"])
        elif topic == "venue.orders" and word["state"] in ORDER.last_words:
            self.in_flight.discard(word["client_order_id"])
            self.finished_sequence = max(self.finished_sequence, word["sequence"])

    def is_loose(self, limits: Policy) -> bool:
        """Outside the band with nothing under way."""
        hedge = limits.hedge
        if self.liability_cents < hedge.minimum_liability_threshold_cents:
            return False
        if self.in_flight or self.position_sequence < self.finished_sequence:
            return False
        ratio = Decimal(-self.exposure_cents) / self.liability_cents
        missing = abs(self.liability_cents * hedge.low_safebound_ratio_shorting + self.exposure_cents)
        outside = not hedge.low_bound_ratio_shorting <= ratio <= hedge.high_bound_ratio_shorting
        return outside and missing * 2 > CENTS_PER_CONTRACT

    def leverage(self) -> Decimal:
        """Exposure over collateral, 0 while there is none of either."""
        collateral_cents = self.collateral_sats * self.price_usd / 1_000_000
        return abs(self.exposure_cents) / collateral_cents if collateral_cents > 0 else Decimal(0)


class _Spans:
    """Adds up for how long at a time something was the case."""

    def __init__(self) -> None:
        self.ms: list[int] = []
        self._since_ms: int | None = None

    def see(self, is_so: bool, at_ms: int) -> None:
        """Take note of one moment."""
        if is_so and self._since_ms is None:
            self._since_ms = at_ms
        elif not is_so and self._since_ms is not None:
            self.ms.append(at_ms - self._since_ms)
            self._since_ms = None


def how_held(events: Iterable[tuple[int, str, dict[str, Any]]], limits: Policy) -> Held:
    """Follow events in order of time; `limits` says what the bands are."""
    book, loose, over = _Book(), _Spans(), _Spans()
    began_ms: int | None = None
    first_order_ms: int | None = None
    leverage_max = Decimal(0)
    for at_ms, topic, word in events:
        book.take(topic, word)
        if began_ms is None and book.liability_cents:
            began_ms = at_ms
        if first_order_ms is None and topic == "hedging.orders":
            first_order_ms = at_ms
        if first_order_ms is not None:
            loose.see(book.is_loose(limits), at_ms)
            over.see(book.leverage() > limits.funding.high_bound_ratio_leverage, at_ms)
            leverage_max = max(leverage_max, book.leverage())
    waited_ms = None if first_order_ms is None or began_ms is None else first_order_ms - began_ms
    highest = str(leverage_max.quantize(Decimal("0.0001")))
    return Held(len(loose.ms), max(loose.ms, default=0), waited_ms, highest, max(over.ms, default=0))


def read_held(places: Places, limits: Policy) -> Held:
    """Read the topics from their beginning."""
    peek = Peek(places.kafka)
    try:
        streams = [list(_events(peek, topic)) for topic in TOPICS]
    finally:
        peek.close()
    return how_held(merge(*streams, key=lambda event: event[0]), limits)


def _events(peek: Peek, topic: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for _, message in peek.everything(topic):
        try:
            word = json.loads(message.value)
        except ValueError:
            continue
        if isinstance(word, dict):
            yield message.at_ms, topic, word
