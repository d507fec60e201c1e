"""What providers did with our money: words on conversions, matched with what was asked of them, so that each is booked once.

A word on a conversion comes by polling, by a webhook, or both; before or after the request is read back from its topic; out of
order, and as often as a provider likes. What is booked follows from the first word that says it is completed and whose amounts
add up, whichever way it came, and whatever became of the job meanwhile: money that moved is booked. Each transaction that
a provider names under our id is money that moved, so two of them are booked twice, and a person is told.

Amounts add up when the provider took what was asked, and what arrived and what it kept come to what it took at its rate,
which may not be far from one. A word for which nobody has asked waits a while for its request, then a person is told.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any, NamedTuple

from domain.messages.provider import ProviderEvent
from domain.messages.treasury import BufferCurrency, ConversionRequest
from domain.streams.records import Record, Snapshot
from domain.times import DAY_MS
from domain.treasury.fees import BASIS_POINTS
from domain.treasury.worth import MICROS_PER_UNIT

UNKNOWN_MS = 60_000
"""So long a word may be ahead of the request that it is about."""
MEMORY_MS = 90 * DAY_MS
"""So long a request is remembered: the latest completion that is booked by itself."""
RATE_OFF_MAX_BPS = Decimal(100)
"""Further from one a rate is believed by people alone."""

Amounts = tuple[int, int, int]
"""What a provider took, what it gave and what it kept, in minor units."""


class Asked(NamedTuple):
    """A request, and when it was made."""

    request: ConversionRequest
    at_ms: int


class Heard(NamedTuple):
    """A word of a provider, with the coordinates of the message."""

    event: ProviderEvent
    source: str
    source_offset: int


class Waiting(NamedTuple):
    """A word that nobody has asked for yet, since when, and whether a person was told."""

    at_ms: int
    heard: Heard
    is_told: bool = False


class ConversionDone(NamedTuple):
    """A provider has converted what was asked; it is to be booked."""

    request: ConversionRequest
    heard: Heard
    is_first: bool


class ConversionDoubted(NamedTuple):
    """A person should look at what a provider says: `what` names the trouble, `why` tells it."""

    event: ProviderEvent
    what: str
    why: str


Effect = ConversionDone | ConversionDoubted


def difference(asked: tuple[int, BufferCurrency, BufferCurrency], amounts: Amounts, rate: Decimal) -> int:
    """Return by how much what a provider gave and kept differs from what it should, in minor units of the destination.

    It is zero where the amounts add up; what it took too much or too little is counted at its worth.
    """
    amount, source, destination = asked
    taken, given, kept = amounts
    scale = Fraction(MICROS_PER_UNIT[source], MICROS_PER_UNIT[destination])
    if taken != amount:
        return round((taken - amount) * scale) or (1 if taken > amount else -1)
    exact = taken * scale * Fraction(rate)
    # A provider may round its last minor unit either way.
    return 0 if floor(exact) <= given + kept <= ceil(exact) else given + kept - round(exact)


def is_near_one(rate: Decimal) -> bool:
    """Whether a rate is believed without a person."""
    return abs(Fraction(rate) - 1) * BASIS_POINTS <= RATE_OFF_MAX_BPS


def amounts_of(event: ProviderEvent) -> Amounts:
    """Return what a word says was taken, given and kept; only of what is completed."""
    return event.source_amount or 0, event.destination_amount or 0, event.fee_amount or 0


def wrong_by(request: ConversionRequest, event: ProviderEvent) -> int:
    """Return by how much the amounts of a completed conversion do not add up, zero where they do."""
    asked = (request.amount, request.source_currency, request.destination_currency)
    rate = Decimal(1) if event.rate is None else event.rate
    off = difference(asked, amounts_of(event), rate)
    return off or (0 if is_near_one(rate) else difference(asked, amounts_of(event), Decimal(1)))


class ConversionBook:
    """Matches words of providers with requests; a `domain.streams.records.Machine`."""

    version = 1

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        asked, done, waiting = snapshot or ((), (), ())
        self._asked = {name: Asked(ConversionRequest.model_validate_json(line), at_ms) for name, line, at_ms in asked}
        # What was taken, given and kept, by our id and the provider's name for it.
        self._done: dict[tuple[str, str], Amounts] = dict(done)
        self._waiting = [
            Waiting(at_ms, Heard(ProviderEvent.model_validate_json(line), source, offset), is_told)
            for at_ms, line, source, offset, is_told in waiting
        ]

    def apply(self, at_ms: int, records: Sequence[Record[Any]]) -> Iterator[Effect]:
        """Take the requests and words of an instant; yield what is done, and what a person should look at."""
        self._forget(at_ms - MEMORY_MS)
        for _, source, offset, word in sorted(records, key=lambda record: isinstance(record.value, ProviderEvent)):
            if isinstance(word, ProviderEvent):
                yield from self._hear(Heard(word, source, offset), at_ms)
            else:
                yield from self._know(word, at_ms)

    def wake_at_ms(self) -> int | None:
        """When the next word will have waited for too long."""
        return next((one.at_ms + UNKNOWN_MS for one in self._waiting if not one.is_told), None)

    def wake(self, at_ms: int) -> Iterator[Effect]:
        """Tell of each word that nobody has asked for; it goes on waiting."""
        for number, one in enumerate(self._waiting):
            if not one.is_told and one.at_ms + UNKNOWN_MS <= at_ms:
                self._waiting[number] = one._replace(is_told=True)
                yield _doubt(one.heard.event, "unknown_conversion", "nobody here has asked for it")

    def gauges(self) -> dict[str, int]:
        """How many words wait for their request."""
        return {"conversions_unknown": len(self._waiting)}

    def snapshot(self) -> Snapshot:
        """What was asked, what is done and what waits, as tuples."""
        asked = tuple((name, one.request.model_dump_json(), one.at_ms) for name, one in self._asked.items())
        waiting = tuple(
            (at_ms, heard.event.model_dump_json(), heard.source, heard.source_offset, is_told)
            for at_ms, heard, is_told in self._waiting
        )
        return asked, tuple(self._done.items()), waiting

    def _know(self, request: ConversionRequest, at_ms: int) -> Iterable[Effect]:
        name = request.client_conversion_id
        self._asked.setdefault(name, Asked(request, at_ms))
        mine = [one for one in self._waiting if one.heard.event.client_conversion_id == name]
        self._waiting = [one for one in self._waiting if one not in mine]
        return [effect for one in mine for effect in self._judge(request, one.heard)]

    def _hear(self, heard: Heard, at_ms: int) -> Iterable[Effect]:
        asked = self._asked.get(heard.event.client_conversion_id)
        if asked is None:
            self._waiting.append(Waiting(at_ms, heard))
            return ()
        return self._judge(asked.request, heard)

    def _judge(self, request: ConversionRequest, heard: Heard) -> Iterator[Effect]:
        event = heard.event
        if event.provider != request.provider:
            yield _doubt(event, "unknown_conversion", f"it was asked of {request.provider}")
        elif event.state == "completed":
            yield from self._complete(request, heard)
        elif event.state in ("failed", "cancelled") and self._is_done(event):
            yield _doubt(event, "contradiction", f"{event.state} after it was completed; what was booked stays")

    def _complete(self, request: ConversionRequest, heard: Heard) -> Iterator[Effect]:
        event = heard.event
        name, amounts = (event.client_conversion_id, event.provider_tx_id), amounts_of(event)
        if name in self._done:
            if self._done[name] != amounts:
                yield _doubt(event, "contradiction", f"amounts {amounts} after {self._done[name]}; what was booked stays")
            return
        off = wrong_by(request, event)
        if off:
            yield _doubt(event, "amount_mismatch", f"the amounts {amounts} differ by {off} from what {request.amount} gives")
            return
        is_first = not self._is_done(event)
        self._done[name] = amounts
        yield ConversionDone(request, heard, is_first)
        if not is_first:
            yield _doubt(event, "paid_twice", f"{event.provider_tx_id} is not its first transaction; both are booked")

    def _is_done(self, event: ProviderEvent) -> bool:
        return any(client_id == event.client_conversion_id for client_id, _ in self._done)

    def _forget(self, before_ms: int) -> None:
        self._waiting = [one for one in self._waiting if one.at_ms >= before_ms]
        old = [name for name, asked in self._asked.items() if asked.at_ms < before_ms]
        for name in old:
            del self._asked[name]
        if old:
            self._done = {key: amounts for key, amounts in self._done.items() if key[0] in self._asked}


def _doubt(event: ProviderEvent, what: str, why: str) -> ConversionDoubted:
    return ConversionDoubted(event, what, f"{event.provider} says {event.state} of {event.client_conversion_id}: {why}")
